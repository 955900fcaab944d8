// What SOCI does on SQLite that the backend keeps away from. When one of these fails, SOCI has changed: read the
// decision about it again.
#include <gtest/gtest.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <cstdint>
#include <string>

namespace {

constexpr long long beyond_32_bits = 5'000'000'000;

std::string error_of(soci::session& session, const std::string& sql) {
  try {
    session << sql;
  } catch (const soci::soci_error& error) {
    return error.get_error_message();
  }
  return {};
}

// Therefore migrations go through run_script() on the bare handle.
TEST(SociOnSqlite, OnlyTheFirstOfSeveralStatementsIsRun) {
  soci::session session(soci::sqlite3, ":memory:");
  EXPECT_EQ(error_of(session, "CREATE TABLE a (x INTEGER); CREATE TABLE b (x INTEGER)"), "");
  int tables = 0;
  session << "SELECT count(*) FROM sqlite_master WHERE name = 'a'", soci::into(tables);
  EXPECT_EQ(tables, 1);
  session << "SELECT count(*) FROM sqlite_master WHERE name = 'b'", soci::into(tables);
  EXPECT_EQ(tables, 0) << "the second statement was run, which is better than we rely on";
}

// Therefore rows are read with sqlite3_column_int64.
TEST(SociOnSqlite, RowsetsCutIntegersTo32Bits) {
  soci::session session(soci::sqlite3, ":memory:");
  session << "CREATE TABLE a (x INTEGER)";
  session << "INSERT INTO a VALUES (" + std::to_string(beyond_32_bits) + ")";
  const soci::rowset<soci::row> rows = (session.prepare << "SELECT x FROM a");
  const soci::row& row = *rows.begin();
  ASSERT_EQ(row.get_properties(0).get_data_type(), soci::dt_integer);
  EXPECT_NE(static_cast<long long>(row.get<int>(0)), beyond_32_bits);
}

TEST(SociOnSqlite, ScalarsKeepAll64Bits) {
  soci::session session(soci::sqlite3, ":memory:");
  session << "CREATE TABLE a (x INTEGER)";
  session << "INSERT INTO a VALUES (:x)", soci::use(beyond_32_bits);
  long long value = 0;
  session << "SELECT x FROM a", soci::into(value);
  EXPECT_EQ(value, beyond_32_bits);
}

// Therefore messages never come from what().
TEST(SociOnSqlite, WhatRepeatsBoundValues) {
  soci::session session(soci::sqlite3, ":memory:");
  session << "CREATE TABLE a (x TEXT UNIQUE)";
  const std::string secret = "bound-value-4711";
  session << "INSERT INTO a VALUES (:x)", soci::use(secret, "x");
  try {
    session << "INSERT INTO a VALUES (:x)", soci::use(secret, "x");
    FAIL() << "a value went twice into a unique column";
  } catch (const soci::soci_error& error) {
    EXPECT_NE(std::string(error.what()).find(secret), std::string::npos);
    EXPECT_EQ(error.get_error_message().find(secret), std::string::npos);
  }
}

// Therefore write transactions begin with BEGIN IMMEDIATE of our own.
TEST(SociOnSqlite, TransactionsAreDeferred) {
  soci::session session(soci::sqlite3, ":memory:");
  session << "CREATE TABLE a (x INTEGER)";
  const soci::transaction transaction(session);
  auto* backend = static_cast<soci::sqlite3_session_backend*>(session.get_backend());
  EXPECT_EQ(sqlite_api::sqlite3_txn_state(backend->conn_, nullptr), SQLITE_TXN_NONE);
}

}  // namespace
