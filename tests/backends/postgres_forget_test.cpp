// Who was forgotten is in no dump any more, and in no row that the server keeps.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <future>
#include <thread>

#include "forgotten.h"
#include "postgres_server.h"
#include "stele/postgres.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

/// Of a database, as SQL.
std::string dump(const std::string& url) {
  const std::string program = postgres_program("pg_dump");
  if (program.empty()) return {};
  FILE* pipe = ::popen((program + " '" + url + "' 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return {};
  std::string text;
  std::array<char, 65'536> chunk{};
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), pipe)) text.append(chunk.data(), got);
  ::pclose(pipe);
  return text;
}

TEST(PostgresForget, NothingIsLeftInADump) {
  if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
  // Of its own: VACUUM keeps what a transaction of the same database might still see, and other tests have some.
  const PostgresDatabase database;
  Registry registry;
  postgres::register_driver(registry);
  EventStore store = EventStore::open(registry, database.url(), {.migrate = true, .keys = keys_of_a_test()});
  write_marked(store, 10'000);
  EXPECT_NE(dump(database.url()).find(marker), std::string::npos) << "the snapshots are there to be found";
  const ForgetResult result = store.forget(std::string(default_tenant), "erika");
  EXPECT_EQ(result.events, 10'000);
  EXPECT_EQ(result.snapshots, 10);
  EXPECT_EQ(exported(store).find(marker), std::string::npos);
  PostgresConnection server("stele", database.url());
  const std::vector<std::string> tables = server.rows(
      "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
      "current_schema()::regnamespace");
  // VACUUM FULL keeps what somebody may still see: the server's own ANALYZE, for instance, and, as its own snapshot
  // goes back to the oldest transaction of all databases that writes, whoever is stopped in another test.
  const std::string deleted_before = server.value("SELECT pg_current_xact_id()");
  const std::string nobody_sees =
      "SELECT pg_snapshot_xmin(pg_current_snapshot()) > '" + deleted_before +
      "' AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND coalesce(datname, "
      "current_database()) = current_database() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL))";
  while (server.value(nobody_sees) != "t") std::this_thread::sleep_for(std::chrono::milliseconds(10));
  for (const std::string& table : tables) server.run("VACUUM FULL " + table);
  server.run("CHECKPOINT");
  const std::string left = dump(database.url());
  EXPECT_NE(left.find("Registered"), std::string::npos) << "the events are there";
  EXPECT_EQ(left.find(marker), std::string::npos);
  // The files of the tables, and of what is too long for a row.
  const std::vector<std::string> files = server.rows(
      "SELECT pg_relation_filepath(oid) FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL AND (relnamespace = "
      "current_schema()::regnamespace OR oid IN (SELECT reltoastrelid FROM pg_class WHERE relnamespace = "
      "current_schema()::regnamespace))");
  EXPECT_GT(files.size(), 10U);
  for (const std::string& file : files) {
    EXPECT_EQ(
        server.value("SELECT position('" + std::string(marker) + "'::bytea IN pg_read_binary_file('" + file + "'))"),
        "0")
        << file;
  }
}

// What is committed behind the position of an append that is still going on cannot be read in the log yet. Who is
// forgotten in that moment has events there, and snapshots of them.
TEST(PostgresForget, WaitsForWhatCannotBeReadYet) {
  if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
  const PostgresSchema schema;
  Registry registry;
  postgres::register_driver(registry);
  EventStore store =
      EventStore::open(registry, postgres_url(schema.name()), {.migrate = true, .keys = keys_of_a_test()});
  PostgresConnection stopped(schema.name());
  stopped.run("BEGIN");
  stopped.run("SELECT pg_advisory_xact_lock_shared(lock_class('events'), 0)");
  const std::string position = stopped.value("SELECT nextval('events_global_position_seq')");
  stopped.run("SELECT pg_advisory_xact_lock_shared(lock_class('events_global_position_seq'), " + position + ")");
  write_marked(store, 1'000);
  ASSERT_EQ(store.log_end(), Position(0)) << "nothing is settled behind the one that stopped";

  std::future<ForgetResult> forgetting =
      std::async(std::launch::async, [&] { return store.forget(std::string(default_tenant), "erika"); });
  EXPECT_EQ(forgetting.wait_for(std::chrono::seconds(1)), std::future_status::timeout);
  stopped.run("ROLLBACK");
  const ForgetResult result = forgetting.get();
  EXPECT_EQ(result.events, 1'000);
  EXPECT_EQ(result.snapshots, 10);
}

}  // namespace
}  // namespace stele::testing
