// URLs of the SQL Server backend and what becomes of them; scripts and texts. Needs no server.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "batches.h"
#include "session.h"
#include "settings.h"
#include "stele/error.h"
#include "utf16.h"

namespace stele::mssql {
namespace {

const std::vector<std::string> both = {"FreeTDS", "ODBC Driver 18 for SQL Server"};
const std::vector<std::string> microsoft = {"ODBC Driver 18 for SQL Server"};

Settings settings_of(std::string_view url, const std::vector<std::string>& installed = both) {
  return parse_settings(Url::parse(url), installed);
}

/// The error that a URL is refused with; empty when it is not.
std::string refusal(std::string_view url, const std::vector<std::string>& installed = both) {
  try {
    settings_of(url, installed);
    return {};
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.message();
  }
}

TEST(mssql_settings, freetds_gets_its_own_words) {
  EXPECT_EQ(
      settings_of("mssql://app:secret@db.example.org:1444/ledger").connection,
      "Driver=FreeTDS;Server=db.example.org;Port=1444;TDS_Version=7.4;ClientCharset=UTF-8;Database=ledger;UID=app;"
      "PWD=secret;APP=stele;DMConnAttr=SQL_ATTR_LOGIN_TIMEOUT=10;");
  EXPECT_EQ(settings_of("mssql://db/x").connection,
            "Driver=FreeTDS;Server=db;Port=1433;TDS_Version=7.4;ClientCharset=UTF-8;Database=x;APP=stele;"
            "DMConnAttr=SQL_ATTR_LOGIN_TIMEOUT=10;");
}

TEST(mssql_settings, microsofts_driver_gets_its_own_words) {
  EXPECT_EQ(
      settings_of("mssql://app:secret@db.example.org/ledger?encrypt=strict&trust_server_certificate=no", microsoft)
          .connection,
      "Driver={ODBC Driver 18 for SQL "
      "Server};Server={tcp:db.example.org,1433};ConnectRetryCount=0;Database=ledger;UID=app;PWD=secret;"
      "APP=stele;Encrypt=strict;TrustServerCertificate=no;DMConnAttr={SQL_ATTR_LOGIN_TIMEOUT=10};");
}

TEST(mssql_settings, what_is_special_in_a_connection_string_stays_in_its_value) {
  const auto password_part = [](std::string_view password, const std::vector<std::string>& installed) {
    const std::string connection = settings_of("mssql://a:" + std::string(password) + "@db/x", installed).connection;
    const std::size_t begin = connection.find("PWD=");
    return connection.substr(begin, connection.find(";APP=") - begin);
  };
  // ; is %3B, { is %7B, } is %7D.
  EXPECT_EQ(password_part("a%3Bb", microsoft), "PWD={a;b}");
  EXPECT_EQ(password_part("a%7Db", microsoft), "PWD={a}}b}");
  EXPECT_EQ(password_part("%7Ba%7D%3B", microsoft), "PWD={{a}};}");
  EXPECT_EQ(password_part("a%20b", microsoft), "PWD={a b}");
  EXPECT_EQ(password_part("x%3BUID=sa", microsoft), "PWD={x;UID=sa}");
  // FreeTDS before 1.4 does not undouble what is in braces; what needs none is read by all its versions.
  EXPECT_EQ(password_part("a%3Bb", both), "PWD={a;b}");
  EXPECT_EQ(password_part("a%7Db", both), "PWD=a}b");
  EXPECT_EQ(password_part("a%7Bb", both), "PWD=a{b");
  EXPECT_EQ(password_part("%7Bab", both), "PWD={{ab}");
  EXPECT_EQ(password_part("a%20b", both), "PWD=a b");
  EXPECT_EQ(password_part("x%3BUID=sa", both), "PWD={x;UID=sa}");
  EXPECT_NE(refusal("mssql://a:x%3By%7Dz@db/x"), "");
  // ODBC is given bytes, which are characters to it.
  EXPECT_EQ(password_part("p%C3%A4ss", both), "PWD=p\xE4ss");
  EXPECT_NE(refusal("mssql://a:%E6%97%A5@db/x"), "");
}

TEST(mssql_settings, no_refusal_shows_the_password) {
  for (const char* url :
       {"mssql://a:geheim%3B%7D@db/x", "mssql://a:geheim@db/x?colour=red", "mssql://a:geheim@db,db2/x",
        "mssql://a:geheim@db/x?connections=0", "mssql://a:geheim@db/x?driver=none"}) {
    EXPECT_NE(refusal(url), "") << url;
    EXPECT_EQ(refusal(url).find("geheim"), std::string::npos) << refusal(url);
  }
}

TEST(mssql_settings, own_settings) {
  const Settings defaults = settings_of("mssql://db/x");
  EXPECT_EQ(defaults.schema, "stele");
  EXPECT_EQ(defaults.busy_timeout, std::chrono::seconds(10));
  EXPECT_EQ(defaults.max_lifetime, std::chrono::minutes(30));
  EXPECT_EQ(defaults.connections, 16u);
  const Settings own =
      settings_of("mssql://db/x?schema=books&busy_timeout=250ms&max_lifetime=5m&connections=3&connect_timeout=1500ms");
  EXPECT_EQ(own.schema, "books");
  EXPECT_EQ(own.busy_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(own.max_lifetime, std::chrono::minutes(5));
  EXPECT_EQ(own.connections, 3u);
  EXPECT_NE(own.connection.find("SQL_ATTR_LOGIN_TIMEOUT=2;"), std::string::npos) << "whole seconds, rounded up";
  EXPECT_NE(settings_of("mssql://db/x?application_name=ledger").connection.find("APP=ledger;"), std::string::npos);
}

TEST(mssql_settings, what_is_not_known_is_refused) {
  EXPECT_NE(refusal("mssql://db/x?sslmode=require").find("is not a setting of mssql"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?schema=a&schema=b").find("comes twice"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?schema="), "");
  EXPECT_NE(refusal("mssql://db/x?schema=o%27clock"), "");
  EXPECT_NE(refusal("mssql://db/x?connections=257"), "");
  EXPECT_NE(refusal("mssql://db/x?busy_timeout=soon"), "");
  EXPECT_NE(refusal("mssql://db/x?encrypt=perhaps"), "");
  EXPECT_NE(refusal("mssql:///x"), "");
  EXPECT_NE(refusal("mssql://one,two/x"), "");
}

TEST(mssql_settings, encryption) {
  const auto freetds = [](const char* settings) {
    return settings_of(std::string("mssql://db/x?") + settings).connection;
  };
  EXPECT_NE(freetds("encrypt=yes").find("Encryption=require;"), std::string::npos);
  EXPECT_NE(freetds("encrypt=no").find("Encryption=off;"), std::string::npos);
  EXPECT_EQ(freetds("trust_server_certificate=yes").find("Trust"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?trust_server_certificate=no").find("ca file"), std::string::npos)
      << "FreeTDS would check nothing";
}

TEST(mssql_settings, the_driver_is_found_by_name_or_path) {
  EXPECT_EQ(settings_of("mssql://db/x", both).driver, "FreeTDS");
  EXPECT_EQ(settings_of("mssql://db/x", microsoft).driver, "ODBC Driver 18 for SQL Server");
  EXPECT_EQ(settings_of("mssql://db/x", {"/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so"}).driver,
            "/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so");
  EXPECT_EQ(settings_of("mssql://db/x?driver=ODBC+Driver+18+for+SQL+Server", {"ODBC+Driver+18+for+SQL+Server"}).driver,
            "ODBC+Driver+18+for+SQL+Server");
  EXPECT_EQ(settings_of("mssql://db/x?driver=ODBC%20Driver%2018%20for%20SQL%20Server", both).driver,
            "ODBC Driver 18 for SQL Server");
}

TEST(mssql_settings, a_missing_driver_is_told_with_its_package) {
  EXPECT_NE(refusal("mssql://db/x", {"PostgreSQL Unicode"}).find("apt-get install tdsodbc"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x", {}).find("msodbcsql18"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?driver=FreeTDS", microsoft).find("apt-get install tdsodbc"), std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?driver=ODBC%20Driver%2017%20for%20SQL%20Server", both).find("msodbcsql18"),
            std::string::npos);
  EXPECT_NE(refusal("mssql://db/x?driver=/nowhere/libtdsodbc.so").find("apt-get install tdsodbc"), std::string::npos);
  EXPECT_EQ(refusal("mssql://db/x", {}).substr(0, 14), "cannot_connect");
}

TEST(mssql_settings, names_and_texts_in_sql) {
  EXPECT_EQ(quoted_identifier("a]b[c"), "[a]]b[c]");
  EXPECT_EQ(quoted_text("o'clock"), "N'o''clock'");
  EXPECT_EQ(with_schema("SELECT * FROM $(schema).a, $(schema).b", "[x]"), "SELECT * FROM [x].a, [x].b");
  EXPECT_EQ(with_schema("SELECT $1, $(other)", "[x]"), "SELECT $1, $(other)");
}

// --- UTF-16

TEST(mssql_utf16, round_trips_every_code_point) {
  std::string all;
  std::u16string expected;
  for (char32_t point = 1; point <= 0x10FFFF; ++point) {
    if (point >= 0xD800 && point <= 0xDFFF) continue;
    if (point < 0x80) {
      all += static_cast<char>(point);
    } else if (point < 0x800) {
      all += static_cast<char>(0xC0 | point >> 6);
      all += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      all += static_cast<char>(0xE0 | point >> 12);
      all += static_cast<char>(0x80 | (point >> 6 & 0x3F));
      all += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      all += static_cast<char>(0xF0 | point >> 18);
      all += static_cast<char>(0x80 | (point >> 12 & 0x3F));
      all += static_cast<char>(0x80 | (point >> 6 & 0x3F));
      all += static_cast<char>(0x80 | (point & 0x3F));
    }
    if (point < 0x10000) {
      expected += static_cast<char16_t>(point);
    } else {
      expected += static_cast<char16_t>(0xD7C0 + (point >> 10));
      expected += static_cast<char16_t>(0xDC00 | (point & 0x3FF));
    }
  }
  EXPECT_TRUE(to_utf16(all) == expected);
  EXPECT_EQ(utf16_length(all), expected.size());
  EXPECT_TRUE(to_utf8(expected) == all);
}

TEST(mssql_utf16, half_a_pair_is_damage) {
  using namespace std::literals;
  for (const std::u16string& text : {u"a\xD83D"s,
                                     u"\xD83D"
                                     u"a"s,
                                     u"\xDE00"s, u"\xDE00\xD83D"s}) {
    try {
      to_utf8(text);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt);
    }
  }
}

TEST(mssql_utf16, cut_utf8_is_not_read_past_its_end) {
  EXPECT_THROW(to_utf16("a\xE2\x82"), Error);
  EXPECT_THROW(to_utf16("\xF0\x9F\x98"), Error);
}

// --- Batches

std::string batches_of(std::string_view script) {
  std::string text;
  for (const Batch& batch : split_batches(script)) {
    std::string trimmed(batch.text);
    while (!trimmed.empty() && trimmed.back() == '\n') trimmed.pop_back();
    text += std::to_string(batch.line) + ":" + trimmed + "|";
  }
  return text;
}

TEST(mssql_batches, go_ends_a_batch) {
  EXPECT_EQ(batches_of("SELECT 1\nGO\nSELECT 2\n"), "1:SELECT 1|3:SELECT 2|");
  EXPECT_EQ(batches_of("SELECT 1\r\n  go  \r\nSELECT 2"), "1:SELECT 1\r|3:SELECT 2|");
  EXPECT_EQ(batches_of("SELECT 1\nGo -- that is it\nSELECT 2"), "1:SELECT 1|3:SELECT 2|");
  EXPECT_EQ(batches_of("GO\n\nGO\nSELECT 1\nGO\n-- nothing\n/* here */\nGO"), "4:SELECT 1|");
  EXPECT_EQ(batches_of(""), "");
}

TEST(mssql_batches, go_is_a_line_of_its_own) {
  for (const char* script : {"SELECT 1 GO", "GOTO here", "SELECT go FROM x", "GO2", "go;"}) {
    EXPECT_EQ(split_batches(script).size(), 1u) << script;
  }
}

TEST(mssql_batches, go_in_texts_names_and_comments_is_none) {
  EXPECT_EQ(split_batches("SELECT 'a\nGO\nb'").size(), 1u);
  EXPECT_EQ(split_batches("SELECT 'it''s\nGO\n'").size(), 1u);
  EXPECT_EQ(split_batches("SELECT N'x', \"a\nGO\nb\"").size(), 1u);
  EXPECT_EQ(split_batches("SELECT [a]]\nGO\n]").size(), 1u);
  EXPECT_EQ(split_batches("/* a /* b */\nGO\n*/ SELECT 1").size(), 1u) << "comments nest";
  EXPECT_EQ(split_batches("-- it's\nGO\nSELECT 1").size(), 1u) << "a comment's apostrophe begins no text";
  EXPECT_EQ(split_batches("SELECT 1 -- a\nGO\nSELECT '--'\nGO\nSELECT 3").size(), 3u);
  EXPECT_EQ(split_batches("SELECT a[1]\nGO\nSELECT ']'").size(), 2u);
}

TEST(mssql_batches, lines_count_through_what_is_quoted) {
  EXPECT_EQ(batches_of("SELECT 'a\n\nb'\nGO\n/*\n\n*/ SELECT 2\nGO\nSELECT 3"),
            "1:SELECT 'a\n\nb'|5:/*\n\n*/ SELECT 2|9:SELECT 3|");
}

TEST(mssql_batches, migrations_split_into_batches_that_begin_with_one_statement) {
  std::ifstream file(std::string(STELE_MIGRATIONS) + "/0001_event_store.up.sql");
  std::stringstream text;
  text << file.rdbuf();
  const std::string script = text.str();
  const std::vector<Batch> batches = split_batches(script);
  EXPECT_GT(batches.size(), 10u);
  for (const Batch& batch : batches) {
    const auto create = [&](const char* what) { return batch.text.find(std::string("CREATE ") + what); };
    const std::size_t first = batch.text.find("CREATE ");
    // The server wants these alone.
    for (const char* what : {"TRIGGER", "PROCEDURE", "VIEW"}) {
      if (create(what) == std::string_view::npos) continue;
      EXPECT_EQ(create(what), first) << "line " << batch.line;
    }
  }
}

}  // namespace
}  // namespace stele::mssql
