// Who was forgotten is in no file of the database any more.
#include <gtest/gtest.h>

#include "forgotten.h"
#include "sqlite_file.h"
#include "stele/registry.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

TEST(SqliteForget, NothingIsLeftInAnyFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("store.db");
  const std::vector<std::string> files = {path, path + "-wal", path + "-shm"};
  const auto any_file = [&] {
    return std::any_of(files.begin(), files.end(), [](const std::string& file) { return holds_marker(file); });
  };
  Registry registry;
  sqlite::register_driver(registry);
  {
    EventStore store = EventStore::open(registry, "sqlite:" + path, {.migrate = true, .keys = keys_of_a_test()});
    write_marked(store, 10'000);
    EXPECT_NE(exported(store).find(marker), std::string::npos);
    EXPECT_TRUE(any_file()) << "the snapshots are there to be found";
    const ForgetResult result = store.forget(std::string(default_tenant), "erika");
    EXPECT_EQ(result.events, 10'000);
    EXPECT_EQ(result.streams, 100);
    EXPECT_EQ(result.snapshots, 10);
    EXPECT_EQ(exported(store).find(marker), std::string::npos);
  }
  SqliteConnection database(path);
  EXPECT_EQ(database.execute("VACUUM"), "");
  EXPECT_EQ(database.execute("PRAGMA wal_checkpoint(TRUNCATE)"), "");
  for (const std::string& file : files) EXPECT_FALSE(holds_marker(file)) << file;
  EventStore again = EventStore::open(registry, "sqlite:" + path, {.keys = keys_of_a_test()});
  EXPECT_EQ(exported(again).find(marker), std::string::npos);
}

}  // namespace
}  // namespace stele::testing
