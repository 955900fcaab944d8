// migrations/sqlite/schema.sql is what the migrations make. STELE_UPDATE_SCHEMA=1 writes it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sqlite_file.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

std::unique_ptr<driver::Driver> open_file(const std::filesystem::path& file) {
  Registry registry;
  sqlite::register_driver(registry);
  return registry.open(Url::parse("sqlite://" + file.string()), DriverOptions{.create = true});
}

std::string read_file(const std::string& name) {
  std::ifstream in(name, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

constexpr const char* header =
    "-- The schema that the migrations make, for reading and for comparison; made by the test of it.\n\n";

TEST(SqliteSchema, FileIsWhatTheMigrationsMake) {
  const TemporaryDirectory directory;
  const auto driver = open_file(directory.file("schema.db"));
  Migrator(*driver->migrations()).up();
  const std::string schema = header + driver->migrations()->dump_schema();
  if (const char* update = std::getenv("STELE_UPDATE_SCHEMA"); update != nullptr && std::string(update) == "1") {
    std::ofstream(STELE_SQLITE_SCHEMA, std::ios::binary) << schema;
  }
  EXPECT_EQ(read_file(STELE_SQLITE_SCHEMA), schema)
      << "run this test with STELE_UPDATE_SCHEMA=1 and look at the difference";
}

TEST(SqliteSchema, FileMakesTheSameSchema) {
  const TemporaryDirectory directory;
  const auto migrated = open_file(directory.file("migrated.db"));
  Migrator(*migrated->migrations()).up();
  SqliteConnection plain(directory.file("plain.db"));
  ASSERT_EQ(plain.execute(read_file(STELE_SQLITE_SCHEMA)), "");
  EXPECT_EQ(open_file(directory.file("plain.db"))->migrations()->dump_schema(), migrated->migrations()->dump_schema());
}

TEST(SqliteSchema, DriftShows) {
  const TemporaryDirectory directory;
  const auto driver = open_file(directory.file("schema.db"));
  Migrator(*driver->migrations()).up();
  const std::string before = driver->migrations()->dump_schema();
  ASSERT_EQ(SqliteConnection(directory.file("schema.db")).execute("CREATE INDEX mine ON events (actor_id)"), "");
  EXPECT_NE(driver->migrations()->dump_schema(), before);
  ASSERT_EQ(SqliteConnection(directory.file("schema.db")).execute("DROP INDEX mine"), "");
  EXPECT_EQ(driver->migrations()->dump_schema(), before);
}

// Down to nothing and up again makes the same, and down leaves nothing of ours behind.
TEST(SqliteSchema, DownAndUpAgainIsTheSame) {
  const TemporaryDirectory directory;
  const auto driver = open_file(directory.file("schema.db"));
  Migrator migrator(*driver->migrations());
  migrator.up();
  const std::string before = driver->migrations()->dump_schema();
  MigrateOptions all;
  all.to = 0;
  all.allow_data_loss = true;
  migrator.down(all);
  EXPECT_EQ(driver->migrations()->dump_schema(), "");
  migrator.up();
  EXPECT_EQ(driver->migrations()->dump_schema(), before);
}

// What is destroyed is gone from the file, once it is there at all: WAL keeps older pages until a checkpoint.
TEST(SqliteSchema, DestroyedKeysLeaveNothingInTheFile) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("keys.db").string();
  const auto driver = open_file(file);
  Migrator(*driver->migrations()).up();
  const auto wrapped = [](int number) {
    return "wrapped-key-of-" + std::to_string(1'000 + number) + std::string(40, '!');
  };
  std::vector<Uuid> ids;
  for (int i = 0; i < 300; ++i) {
    SubjectKey key;
    key.key_id = ids.emplace_back(Uuid::v7());
    key.subject = "subject-" + std::to_string(i);
    key.wrapped = WrappedKey{"m", wrapped(i)};
    ASSERT_TRUE(driver->add_subject_key(key));
  }
  const auto checkpoint = [&] { return SqliteConnection(file).rows("PRAGMA wal_checkpoint(TRUNCATE)"); };
  checkpoint();
  ASSERT_NE(read_file(file).find(wrapped(7)), std::string::npos) << "it cannot be seen whether it is there";
  const std::string tenant(default_tenant);
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 0) {
      ASSERT_TRUE(driver->destroy_subject_key(tenant, ids[static_cast<std::size_t>(i)]));
    } else if (i % 3 == 1) {
      ASSERT_TRUE(driver->rewrap_subject_key(tenant, ids[static_cast<std::size_t>(i)], {"m", wrapped(i)}, {"n", "x"}));
    }
  }
  checkpoint();
  const std::string bytes = read_file(file);
  const std::string log = read_file(file + "-wal");
  int kept = 0;
  for (int i = 0; i < 300; ++i) {
    const bool there = bytes.find(wrapped(i)) != std::string::npos || log.find(wrapped(i)) != std::string::npos;
    EXPECT_EQ(there, i % 3 == 2) << i;
    kept += there ? 1 : 0;
  }
  EXPECT_EQ(kept, 100);
}

TEST(SqliteSchema, MetadataOfASnapshotIsAnObject) {
  const TemporaryDirectory directory;
  const auto driver = open_file(directory.file("schema.db"));
  Migrator(*driver->migrations()).up();
  SqliteConnection connection(directory.file("schema.db"));
  const auto insert = [&](const std::string& metadata) {
    return connection.execute(
        "INSERT OR REPLACE INTO snapshots (snapshot_id, stream_no, stream_version, recorded_at, state_bytes, state, "
        "metadata) VALUES (randomblob(16), 1, 1, 0, 2, '{}', " +
        metadata + ")");
  };
  ASSERT_EQ(connection.execute("PRAGMA foreign_keys = OFF"), "");
  for (const char* good : {"NULL", "'{}'"}) EXPECT_EQ(insert(good), "");
  for (const char* bad : {"'[]'", "'1'", "'\"text\"'", "'null'", "'{'"}) {
    EXPECT_NE(insert(bad).find("CHECK constraint failed"), std::string::npos) << bad;
  }
}

}  // namespace
}  // namespace stele::testing
