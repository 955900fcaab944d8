// What the SQL Server backend makes of values, results and errors. The first part needs no server.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "append.h"
#include "errors.h"
#include "log_query.h"
#include "migrate.h"
#include "mssql_server.h"
#include "odbc_values.h"
#include "session.h"
#include "stele/event_json.h"
#include "stele/event_store.h"
#include "stele/mssql.h"
#include "stele/registry.h"
#include "streams.h"

namespace stele::mssql {
namespace {

using testing::MssqlConnection;
using testing::MssqlSchema;

// --- Errors

Error error_of(const char* state, std::int32_t native, const char* message, bool dead = false,
               Outcome if_lost = Outcome::unknown) {
  return make_error(Diagnostic{state, native, message, 0}, dead, "mssql", if_lost);
}

TEST(mssql_errors, the_servers_number_decides) {
  struct Case {
    const char* state;
    std::int32_t native;
    ErrorCode code;
  };
  for (const Case& known : {
           Case{"23000", 2627, ErrorCode::rejected_by_database},
           {"23000", 2601, ErrorCode::rejected_by_database},
           {"23000", 547, ErrorCode::rejected_by_database},
           {"23000", 515, ErrorCode::rejected_by_database},
           {"42000", 51001, ErrorCode::rejected_by_database},
           {"42000", 50000, ErrorCode::rejected_by_database},
           {"22001", 2628, ErrorCode::rejected_by_database},
           {"42000", 1205, ErrorCode::busy},
           {"40001", 1205, ErrorCode::busy},
           {"42000", 1222, ErrorCode::busy},
           {"42000", 3960, ErrorCode::busy},
           {"42000", 51010, ErrorCode::busy},
           {"42000", 51011, ErrorCode::unsupported},
           {"28000", 18456, ErrorCode::cannot_connect},
           {"42000", 18456, ErrorCode::cannot_connect},
           {"08004", 4060, ErrorCode::cannot_connect},
           {"42S02", 208, ErrorCode::schema_outdated},
           {"42000", 2812, ErrorCode::schema_outdated},
           {"42000", 201, ErrorCode::schema_outdated},
           {"42000", 8144, ErrorCode::schema_outdated},
           {"42000", 229, ErrorCode::permission_denied},
           {"42000", 262, ErrorCode::permission_denied},
           {"42000", 1105, ErrorCode::disk_full},
           {"42000", 9002, ErrorCode::disk_full},
           {"42000", 8003, ErrorCode::too_large},
           {"42000", 3930, ErrorCode::rejected_by_database},
           {"42000", 3998, ErrorCode::rejected_by_database},
           {"42000", 976, ErrorCode::cannot_connect},
           {"42000", 978, ErrorCode::cannot_connect},
           {"42000", 983, ErrorCode::cannot_connect},
           {"42000", 35250, ErrorCode::cannot_connect},
           {"42000", 3906, ErrorCode::permission_denied},
           {"42000", 3908, ErrorCode::cannot_connect},
           {"42000", 40549, ErrorCode::cannot_connect},
           {"42000", 40550, ErrorCode::busy},
           {"42000", 40553, ErrorCode::busy},
           // Whatever leaves the connection in doubt.
           {"01000", 20017, ErrorCode::cannot_connect},
           {"HY000", 20047, ErrorCode::cannot_connect},
           {"HY000", 2402, ErrorCode::cannot_connect},
           {"HY000", 0, ErrorCode::cannot_connect},
           {"24000", 0, ErrorCode::cannot_connect},
           {"HY000", 9001, ErrorCode::cannot_connect},
           {"HY000", 824, ErrorCode::corrupt},
           {"42000", 102, ErrorCode::internal},
           {"08S01", 0, ErrorCode::cannot_connect},
           {"HYT00", 0, ErrorCode::cannot_connect},
           {"IM002", 0, ErrorCode::cannot_connect},
       }) {
    EXPECT_EQ(error_of(known.state, known.native, "x").code(), known.code) << known.state << " " << known.native;
  }
}

TEST(mssql_errors, what_babelfish_has_no_number_for_goes_by_its_message) {
  const auto code = [](const char* message) { return error_of("42000", 33557097, message).code(); };
  EXPECT_EQ(code("canceling statement due to lock timeout"), ErrorCode::busy);
  EXPECT_EQ(code("could not serialize access due to concurrent update"), ErrorCode::busy);
  EXPECT_EQ(code("permission denied for table events"), ErrorCode::permission_denied);
  EXPECT_EQ(code("must be owner of table events"), ErrorCode::permission_denied);
  EXPECT_EQ(code("relation \"stele_streams\" does not exist"), ErrorCode::schema_outdated);
  EXPECT_EQ(code("role \"nobody\" does not exist"), ErrorCode::cannot_connect);
  EXPECT_EQ(code("terminating connection due to administrator command"), ErrorCode::cannot_connect);
  EXPECT_EQ(code("syntax error near 'x' at line 1"), ErrorCode::internal);
}

TEST(mssql_errors, an_answer_of_the_server_is_never_unknown) {
  EXPECT_EQ(error_of("23000", 2627, "x").outcome(), Outcome::not_applied);
  EXPECT_EQ(error_of("42000", 1205, "x").outcome(), Outcome::not_applied);
  // The connection broke, or the driver lost its way.
  EXPECT_EQ(error_of("08S01", 0, "x").outcome(), Outcome::unknown);
  EXPECT_EQ(error_of("HYT00", 0, "x").outcome(), Outcome::unknown);
  EXPECT_EQ(error_of("01000", 20017, "Unexpected EOF from the server").outcome(), Outcome::unknown);
  EXPECT_EQ(error_of("HY000", 2402, "Error converting characters").outcome(), Outcome::unknown);
  EXPECT_EQ(error_of("42000", 596, "x", true).outcome(), Outcome::unknown);
  // It has not broken yet: the server has only said that it will.
  EXPECT_EQ(error_of("42000", 596, "x").outcome(), Outcome::unknown);
  EXPECT_EQ(error_of("42000", 33557097, "terminating connection due to administrator command").outcome(),
            Outcome::unknown);
  EXPECT_EQ(error_of("08S01", 0, "x", true, Outcome::not_applied).outcome(), Outcome::not_applied);
  // A replica that is no primary any more, a session that Azure ended: the commit may have come before that.
  for (const int native : {976, 978, 983, 35250, 40549, 40550, 40551, 40552, 40553}) {
    EXPECT_EQ(error_of("42000", native, "x").outcome(), Outcome::unknown) << native;
    EXPECT_TRUE(error_of("42000", native, "x", false, Outcome::not_applied).retryable()) << native;
  }
}

TEST(mssql_errors, a_server_that_takes_no_writes_any_more_is_left) {
  for (const int native : {3906, 3908}) {
    EXPECT_TRUE(is_on_wrong_server(Diagnostic{"42000", native, "x", 0}));
    EXPECT_EQ(error_of("42000", native, "x").outcome(), Outcome::not_applied);
  }
  EXPECT_FALSE(is_on_wrong_server(Diagnostic{"42000", 229, "x", 0}));
}

TEST(mssql_errors, what_may_be_tried_again) {
  EXPECT_TRUE(worth_another_try(error_of("42000", 1205, "x")));
  EXPECT_TRUE(worth_another_try(error_of("42000", 3960, "x")));
  EXPECT_TRUE(worth_another_try(error_of("23000", 2601, "x")));
  EXPECT_TRUE(worth_another_try(error_of("42000", 33557097, "could not serialize access")));
  EXPECT_FALSE(worth_another_try(error_of("42000", 1222, "x")));
  EXPECT_FALSE(worth_another_try(error_of("42000", 33557097, "canceling statement due to lock timeout")));
  EXPECT_FALSE(worth_another_try(error_of("23000", 547, "x")));
  EXPECT_TRUE(error_of("42000", 1222, "x").retryable());
  EXPECT_FALSE(error_of("08S01", 0, "x").retryable()) << "it may have been applied";
}

TEST(mssql_errors, a_look_at_the_schema_meets_those_who_change_it) {
  for (const int native : {1205, 1222}) {
    int calls = 0;
    EXPECT_EQ(despite_lock_conflicts([&] {
                if (++calls < 3) throw error_of("42000", native, "x");
                return 7;
              }),
              7);
    EXPECT_EQ(calls, 3);
    const auto never = [&]() -> int {
      ++calls;
      throw error_of("42000", native, "x");
    };
    calls = 0;
    EXPECT_THROW(despite_lock_conflicts(never), Error);
    EXPECT_EQ(calls, 3);
  }
  int calls = 0;
  const auto another = [&]() -> int {
    ++calls;
    throw error_of("23000", 2627, "x");
  };
  EXPECT_THROW(despite_lock_conflicts(another), Error);
  EXPECT_EQ(calls, 1);
}

TEST(mssql_errors, messages_hold_no_values) {
  const auto message = [](std::int32_t native, const char* text) { return error_of("23000", native, text).message(); };
  EXPECT_EQ(message(2627,
                    "Violation of UNIQUE KEY constraint 'uq'. Cannot insert duplicate key in object 's.t'. "
                    "The duplicate key value is (geheim)."),
            "mssql: Violation of UNIQUE KEY constraint 'uq'. Cannot insert duplicate key in object 's.t'.");
  EXPECT_EQ(
      message(2628, "String or binary data would be truncated in table 't', column 'c'. Truncated value: 'geheim'."),
      "mssql: String or binary data would be truncated in table 't', column 'c'.");
  EXPECT_EQ(
      message(245, "Conversion failed when converting the nvarchar value 'geheim' to data type int.").find("geheim"),
      std::string::npos);
  EXPECT_EQ(message(33557097, "invalid input syntax for type integer: \"geheim\"").find("geheim"), std::string::npos);
}

TEST(mssql_errors, the_drivers_names_stay_out_of_messages) {
  EXPECT_EQ(without_origin("[FreeTDS][SQL Server]Login failed\n"), "Login failed");
  EXPECT_EQ(without_origin("[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]x [y]"), "x [y]");
  EXPECT_EQ(without_origin("[open"), "[open");
  EXPECT_EQ(without_origin(""), "");
}

// --- Servers

/// The error that a check of a server throws; empty when it does not.
std::string refusal(void (*check)(const Server&), const Server& server) {
  try {
    check(server);
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_FALSE(error.retryable());
    return error.message();
  }
}

Server usual_server() {
  return {.babelfish = false,
          .version = 15,
          .edition = 3,
          .database = "bo]oks",
          .read_committed_snapshot = 1,
          .delayed_durability = 0};
}

TEST(mssql_server, what_the_store_cannot_live_with_is_refused) {
  EXPECT_EQ(refusal(expect_supported, usual_server()), "");
  Server server = usual_server();
  server.version = 14;
  EXPECT_NE(refusal(expect_supported, server).find("2019"), std::string::npos);
  for (const int azure : {5, 8}) {
    server.edition = azure;
    EXPECT_EQ(refusal(expect_supported, server), "");
  }
  server = usual_server();
  for (const std::optional<std::int64_t> off : {std::optional<std::int64_t>(0), std::optional<std::int64_t>()}) {
    server.read_committed_snapshot = off;
    EXPECT_NE(refusal(expect_supported, server).find("ALTER DATABASE [bo]]oks] SET READ_COMMITTED_SNAPSHOT ON"),
              std::string::npos);
  }
  server.babelfish = true;
  server.version = 12;
  EXPECT_EQ(refusal(expect_supported, server), "");
}

TEST(mssql_server, commits_that_do_not_wait_for_the_disk_are_refused) {
  Server server = usual_server();
  for (const std::optional<std::int64_t> durable :
       {std::optional<std::int64_t>(), std::optional<std::int64_t>(0), std::optional<std::int64_t>(1)}) {
    server.delayed_durability = durable;
    EXPECT_EQ(refusal(expect_durable, server), "");
  }
  server.delayed_durability = 2;
  EXPECT_NE(refusal(expect_durable, server).find("ALTER DATABASE [bo]]oks] SET DELAYED_DURABILITY = DISABLED"),
            std::string::npos);
  EXPECT_EQ(refusal(expect_supported, server), "") << "it can be read";
}

// --- Values

TEST(mssql_values, times_are_exact) {
  for (const char* text :
       {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2000-02-29T12:34:56.000001Z",
        "2026-11-21T15:00:00.123456Z", "9999-12-31T23:59:59.999999Z"}) {
    const Timestamp time = Timestamp::parse(text);
    EXPECT_EQ(micros_of(to_odbc(time)), time.micros()) << text;
  }
  const SQL_TIMESTAMP_STRUCT odbc = to_odbc(Timestamp::parse("2026-11-21T15:04:05.123456Z"));
  EXPECT_EQ(odbc.year, 2026);
  EXPECT_EQ(odbc.month, 11);
  EXPECT_EQ(odbc.day, 21);
  EXPECT_EQ(odbc.hour, 15);
  EXPECT_EQ(odbc.minute, 4);
  EXPECT_EQ(odbc.second, 5);
  EXPECT_EQ(odbc.fraction, 123'456'000u);
}

TEST(mssql_values, ids_keep_the_order_of_their_text) {
  const Uuid id = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff").value();
  const SQLGUID guid = to_odbc(id);
  EXPECT_EQ(guid.Data1, 0x00112233u);
  EXPECT_EQ(guid.Data2, 0x4455);
  EXPECT_EQ(guid.Data3, 0x6677);
  EXPECT_EQ(guid.Data4[0], 0x88);
  EXPECT_EQ(guid.Data4[7], 0xff);
  EXPECT_EQ(uuid_of(guid), id);
}

TEST(mssql_values, parameters_refuse_what_would_be_cut) {
  Parameters parameters;
  EXPECT_NO_THROW(parameters.add(Type::text, std::string(4000, 'x')));
  EXPECT_THROW(parameters.add(Type::text, std::string(4001, 'x')), Error);
  std::string emojis;
  for (int i = 0; i < 2000; ++i) emojis += "\xF0\x9F\x98\x80";
  EXPECT_NO_THROW(parameters.add(Type::text, emojis)) << "4000 units";
  EXPECT_THROW(parameters.add(Type::text, emojis + "x"), Error);
  EXPECT_NO_THROW(parameters.add(Type::bytes, std::string(8000, 'x')));
  EXPECT_THROW(parameters.add(Type::bytes, std::string(8001, 'x')), Error);
  EXPECT_THROW(parameters.add(Type::int4, std::int64_t{1} << 31), Error);
  EXPECT_NO_THROW(parameters.add(Type::int4, -(std::int64_t{1} << 31)));
  EXPECT_THROW(parameters.add(Type::text, 7), Error);
  EXPECT_THROW(parameters.add_output(Type::long_text), Error);
}

// --- With a server

Settings server_settings(const std::string& settings = {}) {
  return parse_settings(Url::parse(testing::mssql_url("stele", settings)));
}

class mssql_session : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::mssql_url().empty()) GTEST_SKIP() << "!! NOT tested: " << testing::no_mssql;
    session_.emplace(server_settings("busy_timeout=2s"));
  }
  Session& session() { return *session_; }
  Result execute(std::string_view sql, const Parameters& parameters = {}) { return session_->execute(sql, parameters); }

 private:
  std::optional<Session> session_;
};

/// A table that is gone with this object.
class Table {
 public:
  Table(Session& session, const std::string& columns) : name_(testing::fresh_mssql_schema() + "_t"), session_(session) {
    session_.run("CREATE TABLE dbo." + name_ + " (" + columns + ")", "test");
  }
  ~Table() {
    try {
      MssqlConnection().run("DROP TABLE dbo." + name_);
    } catch (const std::exception&) {
    }
  }
  std::string name() const { return "dbo." + name_; }

 private:
  const std::string name_;
  Session& session_;
};

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST_F(mssql_session, long_texts_arrive_and_come_back_whole) {
  const Table table(session(), "id INT NOT NULL, t NVARCHAR(MAX) NULL");
  const std::string mixed = "{\"a\": \"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80 \"}";
  int id = 0;
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("trailing  "), mixed, repeated(mixed, 100), repeated(mixed, 179),
        repeated("x", 3999), repeated("x", 4000), repeated("x", 4001), repeated("x", 2047), repeated("x", 2048),
        repeated(mixed, 5000), repeated("\xF0\x9F\x98\x80", 300'000), std::string("short again")}) {
    execute("INSERT INTO " + table.name() + " (id, t) VALUES (?, ?)",
            Parameters().add(Type::int4, ++id).add(Type::long_text, text));
    const Result row = execute("SELECT t FROM " + table.name() + " WHERE id = ?", Parameters().add(Type::int4, id));
    ASSERT_EQ(row.rows(), 1);
    EXPECT_TRUE(row.text(0, 0) == text) << text.size() << " bytes, came back as " << row.text(0, 0).size();
  }
  execute("INSERT INTO " + table.name() + " (id, t) VALUES (?, ?)",
          Parameters().add(Type::int4, ++id).add_null(Type::long_text));
  const Result row = execute("SELECT t FROM " + table.name() + " WHERE id = ?", Parameters().add(Type::int4, id));
  EXPECT_TRUE(row.is_null(0, 0));
}

TEST_F(mssql_session, every_type_round_trips) {
  const Table table(session(),
                    "a BIT NULL, b INT NULL, c BIGINT NULL, d NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, "
                    "e VARBINARY(255) NULL, f UNIQUEIDENTIFIER NULL, g DATETIME2(6) NULL");
  const std::string insert = "INSERT INTO " + table.name() + " VALUES (?, ?, ?, ?, ?, ?, ?)";
  const Uuid id = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff").value();
  const Timestamp time = Timestamp::parse("0001-01-01T00:00:00.000001Z");
  const std::string bytes("\x00\x01\xFF\x00", 4);
  execute(insert, Parameters()
                      .add(Type::boolean, true)
                      .add(Type::int4, INT32_MIN)
                      .add(Type::int8, INT64_MIN)
                      .add(Type::text, "\xF0\x9F\x98\x80 ")
                      .add(Type::bytes, bytes)
                      .add(Type::uuid, id)
                      .add(Type::time, time));
  execute(insert, Parameters()
                      .add_null(Type::boolean)
                      .add_null(Type::int4)
                      .add_null(Type::int8)
                      .add_null(Type::text)
                      .add_null(Type::bytes)
                      .add_null(Type::uuid)
                      .add_null(Type::time));
  execute(insert, Parameters()
                      .add(Type::boolean, false)
                      .add(Type::int4, INT32_MAX)
                      .add(Type::int8, INT64_MAX)
                      .add(Type::text, "")
                      .add(Type::bytes, "")
                      .add(Type::uuid, Uuid())
                      .add(Type::time, Timestamp::parse("9999-12-31T23:59:59.999999Z")));
  const Result rows = execute("SELECT a, b, c, d, e, f, g FROM " + table.name() + " WHERE b IS NOT NULL ORDER BY b");
  ASSERT_EQ(rows.rows(), 2);
  EXPECT_TRUE(rows.boolean(0, 0));
  EXPECT_EQ(rows.integer(0, 1), INT32_MIN);
  EXPECT_EQ(rows.integer(0, 2), INT64_MIN);
  EXPECT_EQ(rows.text(0, 3), "\xF0\x9F\x98\x80 ");
  EXPECT_EQ(rows.bytes(0, 4), bytes);
  EXPECT_EQ(rows.uuid(0, 5), id);
  EXPECT_EQ(rows.time(0, 6), time);
  EXPECT_FALSE(rows.boolean(1, 0));
  EXPECT_EQ(rows.integer(1, 2), INT64_MAX);
  EXPECT_EQ(rows.text(1, 3), "");
  EXPECT_EQ(rows.bytes(1, 4), "");
  EXPECT_EQ(rows.time(1, 6).to_string(), "9999-12-31T23:59:59.999999Z");
  EXPECT_THROW(rows.integer(0, 3), Error);
  const Result nulls = execute("SELECT a, b, c, d, e, f, g FROM " + table.name() + " WHERE b IS NULL");
  for (int column = 0; column < 7; ++column) EXPECT_TRUE(nulls.is_null(0, column)) << column;
}

TEST_F(mssql_session, old_dates_are_not_moved) {
  const Table table(session(), "id INT NOT NULL, t DATETIME2(6) NULL");
  const std::string insert =
      "INSERT INTO " + table.name() + " (id, t) SELECT r.id, r.t FROM (VALUES (?, ?), (?, ?)) AS r (id, t)";
  int id = 0;
  for (const char* text :
       {"0001-01-01T00:00:00Z", "0001-01-01T12:00:00.000001Z", "0001-12-31T00:00:00Z", "0004-02-29T00:00:00Z",
        "0100-03-01T00:00:00Z", "1000-01-01T00:00:00Z", "1582-10-15T00:00:00Z", "1600-02-29T00:00:00Z",
        "1600-12-31T23:59:59.999999Z", "1601-01-01T00:00:00Z", "1752-12-31T00:00:00Z", "1899-12-31T00:00:00Z",
        "1900-01-01T00:00:00Z", "2000-02-29T00:00:00Z", "9999-12-31T23:59:59.999999Z"}) {
    const Timestamp time = Timestamp::parse(text);
    ++id;
    execute(insert, Parameters()
                        .add(Type::int4, id)
                        .add(Type::time, time)
                        .add(Type::int4, -id)
                        .add(Type::time, Timestamp::parse("2026-01-01T00:00:00Z")));
    const Result row = execute("SELECT t FROM " + table.name() + " WHERE id = ? AND t <= ? AND t >= ?",
                               Parameters().add(Type::int4, id).add(Type::time, time).add(Type::time, time));
    ASSERT_EQ(row.rows(), 1) << text;
    EXPECT_EQ(row.time(0, 0).to_string(), time.to_string());
  }
}

TEST_F(mssql_session, an_error_of_a_later_statement_is_not_missed) {
  const Table table(session(), "id INT NOT NULL PRIMARY KEY");
  try {
    execute("SELECT 7; INSERT INTO " + table.name() + " VALUES (?); INSERT INTO " + table.name() + " VALUES (?)",
            Parameters().add(Type::int4, 1).add(Type::int4, 1));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.native_code(), 2627);
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
  }
  EXPECT_TRUE(session().usable());
  EXPECT_EQ(execute("SELECT 1; SELECT 2").integer(0, 0), 2) << "the last result";
}

TEST_F(mssql_session, a_failed_transaction_takes_nothing_more) {
  const Table table(session(), "id INT NOT NULL PRIMARY KEY");
  const std::string insert = "INSERT INTO " + table.name() + " VALUES (?)";
  {
    const Transaction transaction(session());
    execute(insert, Parameters().add(Type::int4, 1));
    EXPECT_FALSE(session().usable()) << "it must not be lent in the middle of a transaction";
    EXPECT_THROW(execute(insert, Parameters().add(Type::int4, 1)), Error);
  }
  EXPECT_TRUE(session().usable());
  EXPECT_EQ(execute("SELECT COUNT(*) FROM " + table.name()).integer(0, 0), 0);
  {
    Transaction transaction(session());
    execute(insert, Parameters().add(Type::int4, 2));
    transaction.commit();
  }
  {
    const Transaction transaction(session());
    execute(insert, Parameters().add(Type::int4, 3));
  }
  EXPECT_EQ(execute("SELECT COUNT(*) FROM " + table.name()).integer(0, 0), 1);
  EXPECT_EQ(execute("SELECT @@TRANCOUNT").integer(0, 0), 0);
}

TEST_F(mssql_session, procedures_answer_by_outputs_and_rows) {
  const std::string name = testing::fresh_mssql_schema();
  const MssqlSchema schema(name);
  Session own(parse_settings(Url::parse(schema.url())));
  own.run("CREATE SCHEMA $(schema)", "test");
  own.run(
      "CREATE PROCEDURE $(schema).echo @n BIGINT, @m BIGINT OUTPUT, @t DATETIME2(6) OUTPUT, @none INT OUTPUT AS BEGIN "
      "SET @m = @n + 1; SET @t = '2026-11-21 12:00:00.000001'; SET @none = NULL; SELECT @n * 2 AS twice; END",
      "test");
  for (int i = 0; i < 3; ++i) {
    const Parameters parameters =
        Parameters().add(Type::int8, 20 + i).add_output(Type::int8).add_output(Type::time).add_output(Type::int4);
    const Result row = own.call("echo", parameters);
    EXPECT_EQ(row.integer(0, 0), 40 + 2 * i);
    EXPECT_EQ(parameters.integer(1), 21 + i);
    EXPECT_EQ(parameters.time(2).to_string(), "2026-11-21T12:00:00.000001Z");
    EXPECT_TRUE(parameters.is_null(3));
  }
}

TEST_F(mssql_session, rows_come_one_by_one_until_no_more_are_wanted) {
  const Table table(session(), "id INT NOT NULL PRIMARY KEY");
  for (int i = 1; i <= 5; ++i) {
    execute("INSERT INTO " + table.name() + " VALUES (?)", Parameters().add(Type::int4, i));
  }
  int seen = 0;
  session().for_each_row("SELECT id FROM " + table.name() + " ORDER BY id", {}, [&](const Result& row) {
    EXPECT_EQ(row.rows(), 1);
    EXPECT_EQ(row.integer(0, 0), ++seen);
    return seen < 3;
  });
  EXPECT_EQ(seen, 3);
  EXPECT_THROW(session().for_each_row("SELECT id FROM " + table.name(), {},
                                      [](const Result&) -> bool { throw std::runtime_error("enough"); }),
               std::runtime_error);
  EXPECT_TRUE(session().usable());
  EXPECT_EQ(execute("SELECT 1").integer(0, 0), 1);
}

TEST_F(mssql_session, a_killed_connection_is_noticed_and_not_lent_again) {
  const std::string process = std::to_string(execute("SELECT CAST(@@SPID AS INT)").integer(0, 0));
  MssqlConnection().run("KILL " + process);
  EXPECT_FALSE(session().alive(true));
  EXPECT_FALSE(session().usable());
  Session second(server_settings());
  const std::string other = std::to_string(second.execute("SELECT CAST(@@SPID AS INT)").integer(0, 0));
  Transaction transaction(second);
  MssqlConnection().run("KILL " + other);
  try {
    transaction.commit();
    ADD_FAILURE() << "committed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cannot_connect) << error.what();
    EXPECT_EQ(error.outcome(), Outcome::unknown);
  }
  EXPECT_FALSE(second.usable());
}

TEST_F(mssql_session, a_lock_is_waited_for_as_long_as_was_said) {
  const Table table(session(), "id INT NOT NULL PRIMARY KEY, v INT NOT NULL");
  execute("INSERT INTO " + table.name() + " VALUES (1, 1)");
  MssqlConnection other;
  other.run("BEGIN TRANSACTION; UPDATE " + table.name() + " SET v = 2");
  try {
    LockTimeout timeout(session());
    timeout.set(std::chrono::milliseconds(100));
    execute("UPDATE " + table.name() + " SET v = 3");
    ADD_FAILURE() << "did not wait";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
    EXPECT_TRUE(error.retryable());
  }
  EXPECT_EQ(execute("SELECT v FROM " + table.name()).integer(0, 0), 1) << "a reader waits for nobody";
  other.run("ROLLBACK TRANSACTION");
  EXPECT_TRUE(session().usable());
}

TEST_F(mssql_session, a_batch_of_a_script_tells_the_line_of_its_error) {
  try {
    session().run_batch("\n\nSELECT * FROM no_such_table_here", "script.sql", 10);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("script.sql, line 12: "), std::string::npos) << error.message();
  }
}

// --- With a store

class mssql_store : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::mssql_url().empty()) GTEST_SKIP() << "!! NOT tested: " << testing::no_mssql;
    Registry registry;
    register_driver(registry);
    store_.emplace(EventStore::open(registry, schema_.url(), {.migrate = true}));
    append_.streams.push_back({stream_, ExpectedVersion::any(), {event("Happened")}});
    store_->append(append_).or_throw();
    session_.emplace(parse_settings(Url::parse(schema_.url())));
  }
  static NewEvent event(const char* type) {
    NewEvent made;
    made.type = type;
    return made;
  }
  static std::size_t events_in_log(Session& session) {
    driver::EventPage page;
    const LogFilter all;
    read_log(session, {Direction::forwards, Position(0), Position(INT64_MAX), {}, &all, {100, 1 << 20}}, page);
    return page.size();
  }
  RecordedEvent event_of(Version version) {
    EventReader reader = store_->read_stream(stream_, {.from = version});
    return *reader.next();
  }
  /// What appending it is refused with.
  std::optional<ErrorCode> append_to(const std::string& id, const NewEvent& event) {
    try {
      store_->append(StreamKey("thing", id), ExpectedVersion::any(), {event}).or_throw();
      return std::nullopt;
    } catch (const Error& error) {
      return error.code();
    }
  }
  std::int64_t version(Session& session) { return stream_info(session, stream_).value().version.value(); }

  const MssqlSchema schema_;
  const StreamKey stream_{"thing", "a"};
  AppendRequest append_;
  std::optional<EventStore> store_;
  std::optional<Session> session_;
};

// An availability group's secondary, as Babelfish shows it: its answer goes by PostgreSQL's transactions, which take no
// writes on a standby, or when they are told.
TEST_F(mssql_store, the_log_is_not_read_where_nobody_knows_who_is_in_flight) {
  EXPECT_EQ(events_in_log(*session_), 1U);
  if (!session_->is_babelfish()) GTEST_SKIP() << "!! NOT tested: needs a database that is READ_ONLY";
  // By another name, as a driver manager would lend the connection again.
  Session secondary(parse_settings(Url::parse(schema_.url("application_name=secondary"))));
  secondary.run("SELECT set_config('default_transaction_read_only', 'on', false)", "test");
  for (const std::int64_t known : {0, 1}) {
    secondary.known_settled = known;
    try {
      events_in_log(secondary);
      ADD_FAILURE() << "the log was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported) << error.what();
      EXPECT_NE(error.message().find("read the log on the primary"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(version(secondary), 1) << "streams can be read";
  secondary.run("SELECT set_config('default_transaction_read_only', 'off', false)", "test");
}

TEST_F(mssql_store, nothing_is_appended_where_commits_do_not_wait_for_the_disk) {
  const NewEvent happened = event("Happened");
  const driver::PreparedAppend append{
      std::string_view(default_tenant),
      {{&stream_,
        ExpectedVersion::any(),
        {{&happened, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false}}}},
      {},
      {}};
  const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto refused = [](const auto& call) {
    try {
      call();
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::unsupported && error.outcome() == Outcome::not_applied;
    }
  };
  session_->server.delayed_durability = 2;
  EXPECT_TRUE(refused([&] { append_one(*session_, append, soon); }));
  EXPECT_TRUE(refused([&] { append_together(*session_, {&append, 1}); }));
  EXPECT_TRUE(refused([&] {
    const Transaction transaction(*session_, Transaction::Kind::shared);
    append_inside(*session_, append);
  })) << "with an inline projection";
  EXPECT_EQ(version(*session_), 1);
  session_->server.delayed_durability = 0;
  EXPECT_EQ(append_one(*session_, append, soon).status, AppendStatus::appended);
  EXPECT_EQ(version(*session_), 2);
}

/// What append_to_stream has no parameters for.
const std::vector<void (*)(NewEvent&)> rare_fields = {
    [](NewEvent& event) { event.idempotency_key = "another"; },
    [](NewEvent& event) { event.redaction_level = RedactionLevel::partial; },
    [](NewEvent& event) { event.contains_secrets = true; },
    [](NewEvent& event) { event.valid_from = Timestamp::parse("2026-01-01T00:00:00Z"); },
    [](NewEvent& event) { event.valid_to = Timestamp::parse("2026-01-01T00:00:00Z"); },
    [](NewEvent& event) { event.policy_context = Json(std::string("{}")); },
    [](NewEvent& event) { event.model_context = Json(std::string("{}")); },
    [](NewEvent& event) { event.display = Json(std::string("{}")); },
};

// What the short procedure writes and answers is what the other one does; and each does its own part.
TEST_F(mssql_store, the_short_procedure_does_what_the_long_one_does) {
  NewEvent full = event("Happened");
  full.data = Json(std::string(R"({"n": 12.50, "text": "s\u00e9cond"})"));
  full.event_version = 3;
  full.occurred_at = Timestamp::parse("2026-03-04T05:06:07.890123Z");
  full.actor = Actor{ActorType::agent, "m-7"};
  full.source = "till";
  full.channel = Channel::webhook;
  full.correlation_id = Uuid::v7();
  full.causation_id = Uuid::v7();
  full.metadata = Json(std::string(R"({"file": "f.csv"})"));
  NewEvent keyed = full;
  keyed.idempotency_key = "key";
  const Version first = store_->append(stream_, ExpectedVersion::any(), {keyed}).or_throw().streams[0].last_version;

  session_->run("DROP PROCEDURE $(schema).append_one", "test");
  const auto append = [&](ExpectedVersion expected) { return store_->append(stream_, expected, {full}); };
  for (const ExpectedVersion expected : {ExpectedVersion::any(), ExpectedVersion::stream_exists(),
                                         ExpectedVersion::exactly(Version(first.value() + 2))}) {
    const AppendResult result = append(expected);
    ASSERT_EQ(result.status, AppendStatus::appended);
    EXPECT_EQ(result.streams[0].first_version, result.streams[0].last_version);
    RecordedEvent found = event_of(result.streams[0].last_version);
    EXPECT_EQ(found.position, result.streams[0].last_position);
    RecordedEvent by_long = event_of(first);
    EXPECT_GE(found.recorded_at, by_long.recorded_at);
    by_long.position = found.position;
    by_long.version = found.version;
    by_long.event_id = found.event_id;
    by_long.recorded_at = found.recorded_at;
    by_long.idempotency_key.reset();
    EXPECT_EQ(to_json_line(found), to_json_line(by_long));
  }
  const AppendResult conflict = append(ExpectedVersion::exactly(first));
  ASSERT_EQ(conflict.status, AppendStatus::conflict);
  EXPECT_EQ(conflict.conflict->actual, Version(first.value() + 3));
  full.event_id = event_of(first).event_id;
  EXPECT_EQ(append(ExpectedVersion::any()).status, AppendStatus::duplicate_event_id) << "the key is missing";
  full.event_id = event_of(Version(first.value() + 1)).event_id;
  EXPECT_EQ(append(ExpectedVersion::any()).status, AppendStatus::replayed);
  full.event_id.reset();
  EXPECT_EQ(version(*session_), first.value() + 3) << "what was refused moved nothing";
  const StreamKey fresh("thing", "new");
  const auto begin = [&](ExpectedVersion expected) { return store_->append(fresh, expected, {full}); };
  EXPECT_THROW(begin(ExpectedVersion::stream_exists()), Error) << "that is for the long one to say";
  EXPECT_EQ(begin(ExpectedVersion::no_stream()).status, AppendStatus::appended);
  EXPECT_EQ(begin(ExpectedVersion::no_stream()).status, AppendStatus::conflict);
  EXPECT_EQ(append_to("newer", full), std::nullopt) << "it makes a stream that is not there";
  for (const StreamKey& made : {fresh, StreamKey("thing", "newer")}) {
    const std::optional<StreamInfo> info = store_->stream_info(made);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->stream, made);
    EXPECT_EQ(info->version, Version(1));
    EXPECT_EQ(store_->read_stream(made).begin()->stream, made);
  }
  for (const auto& rare : rare_fields) {
    NewEvent other = full;
    rare(other);
    EXPECT_EQ(append_to("a", other), ErrorCode::schema_outdated);
  }
  EXPECT_EQ(version(*session_), first.value() + 3);
}

// Babelfish has PostgreSQL's way to do the same; each connection switches it off.
TEST_F(mssql_store, commits_wait_for_the_disk_on_babelfish_whatever_its_configuration_says) {
  if (!session_->is_babelfish()) GTEST_SKIP() << "of Babelfish only";
  EXPECT_NE(session_->run("SELECT current_setting('synchronous_commit')", "test").text(0, 0), "off");
}

TEST_F(mssql_session, what_cannot_be_reached_is_told_without_the_password) {
  Url url = Url::parse(testing::mssql_url());
  url.password = "wrong-geheim";
  const auto fails = [](const Url& target) {
    try {
      Session session(parse_settings(target));
      return std::string("it connected");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::cannot_connect) << error.what();
      return std::string(error.what());
    }
  };
  EXPECT_EQ(fails(url).find("geheim"), std::string::npos) << fails(url);
  Url nowhere = Url::parse(testing::mssql_url());
  nowhere.hosts[0].port = 1;
  EXPECT_EQ(fails(nowhere).find(nowhere.password.value_or("geheim")), std::string::npos);
  Url database = Url::parse(testing::mssql_url());
  database.path = "no_such_database";
  EXPECT_NE(fails(database), "it connected");
}

}  // namespace
}  // namespace stele::mssql
