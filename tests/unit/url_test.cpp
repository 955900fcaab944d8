#include "stele/url.h"

#include <gtest/gtest.h>

#include "error_of.h"

namespace stele {
namespace {

using std::string;
using Hosts = std::vector<Url::Host>;
using Params = std::vector<std::pair<string, string>>;

TEST(Url, PathsOfSqliteAndMemory) {
  struct Row {
    std::string_view text;
    string path;
  };
  for (const Row& row : {
           Row{"sqlite:books.db", "books.db"},
           Row{"sqlite:dir/books.db", "dir/books.db"},
           Row{"sqlite:./books.db", "./books.db"},
           Row{"sqlite:/var/books.db", "/var/books.db"},
           Row{"sqlite:///var/books.db", "/var/books.db"},
           Row{"sqlite::memory:", ":memory:"},
           Row{"sqlite:", ""},
           Row{"sqlite:C:books", "C:books"},
           Row{"sqlite:a@b,c.db", "a@b,c.db"},
           Row{"sqlite:with%20space%3F%25.db", "with space?%.db"},
           Row{"sqlite:%C3%A9t%c3%a9.db", "\xC3\xA9t\xC3\xA9.db"},
           Row{"sqlite:plus+plus.db", "plus+plus.db"},
       }) {
    const Url url = Url::parse(row.text);
    EXPECT_EQ(url.scheme, "sqlite") << row.text;
    EXPECT_EQ(url.path, row.path) << row.text;
    EXPECT_TRUE(url.hosts.empty()) << row.text;
    EXPECT_FALSE(url.user) << row.text;
    EXPECT_FALSE(url.password) << row.text;
    EXPECT_TRUE(url.params.empty()) << row.text;
  }
  EXPECT_EQ(Url::parse("memory:").scheme, "memory");
  EXPECT_EQ(Url::parse("SQLite:Books.db").scheme, "sqlite");
  EXPECT_EQ(Url::parse("SQLite:Books.db").path, "Books.db");
}

TEST(Url, Authorities) {
  const Url full =
      Url::parse("PostgreSQL://app:s3cret@db.example:5433/ledger?sslmode=require&application_name=a%26b%3Dc");
  EXPECT_EQ(full.scheme, "postgresql");
  EXPECT_EQ(full.user, "app");
  EXPECT_EQ(full.password, "s3cret");
  EXPECT_EQ(full.hosts, (Hosts{{"db.example", 5433}}));
  EXPECT_EQ(full.path, "ledger");
  EXPECT_EQ(full.params, (Params{{"sslmode", "require"}, {"application_name", "a&b=c"}}));
  EXPECT_EQ(full.param("sslmode"), "require");
  EXPECT_FALSE(full.param("ssl"));

  const Url plain = Url::parse("mssql://db");
  EXPECT_EQ(plain.hosts, (Hosts{{"db", 0}}));
  EXPECT_FALSE(plain.user);
  EXPECT_FALSE(plain.password);
  EXPECT_EQ(plain.path, "");

  const Url only_user = Url::parse("postgresql://app@db/x");
  EXPECT_EQ(only_user.user, "app");
  EXPECT_FALSE(only_user.password);

  const Url empty_password = Url::parse("postgresql://app:@db/x");
  EXPECT_EQ(empty_password.password, "");

  const Url no_host = Url::parse("postgresql:///ledger");
  EXPECT_TRUE(no_host.hosts.empty());
  EXPECT_EQ(no_host.path, "ledger");
}

TEST(Url, DecodesEveryPart) {
  const Url url = Url::parse("postgresql://us%40er:p%3A%2F%40%25ss@%2Fvar%2Frun/d%20b?k%20ey=v%26al");
  EXPECT_EQ(url.user, "us@er");
  EXPECT_EQ(url.password, "p:/@%ss");
  EXPECT_EQ(url.hosts, (Hosts{{"/var/run", 0}}));
  EXPECT_EQ(url.path, "d b");
  EXPECT_EQ(url.params, (Params{{"k ey", "v&al"}}));
  // A password with an @ or a : that somebody forgot to encode.
  EXPECT_EQ(Url::parse("postgresql://u:a:b@c@db/x").password, "a:b@c");
}

TEST(Url, HostLists) {
  EXPECT_EQ(Url::parse("postgresql://a,b:1,c.example:65535/x").hosts,
            (Hosts{{"a", 0}, {"b", 1}, {"c.example", 65535}}));
  EXPECT_EQ(Url::parse("postgresql://[::1]/x").hosts, (Hosts{{"::1", 0}}));
  EXPECT_EQ(Url::parse("postgresql://u@[fe80::1%25eth0]:5432,[::2],d:7/x").hosts,
            (Hosts{{"fe80::1%eth0", 5432}, {"::2", 0}, {"d", 7}}));
}

TEST(Url, RefusesWhatIsNone) {
  struct Row {
    std::string_view text;
    string words;
  };
  for (const Row& row : {
           Row{"", "it is empty"},
           Row{"books.db", "has to begin with a scheme"},
           Row{"/var/books.db", "has to begin with a scheme"},
           Row{":books.db", "has to begin with a scheme"},
           Row{"1sqlite:books.db", "has to begin with a scheme"},
           Row{"sq lite:books.db", "has to begin with a scheme"},
           Row{" sqlite:books.db", "has to begin with a scheme"},
           Row{"./a:b", "has to begin with a scheme"},
           Row{"sqlite://host/books.db", "has no host"},
           Row{"sqlite://books.db", "has no host"},
           Row{"memory://x", "has no host"},
           Row{"sqlite:a%", "% in its path"},
           Row{"sqlite:a%4", "% in its path"},
           Row{"sqlite:a%zz", "% in its path"},
           Row{"sqlite:100%.db", "% in its path"},
           Row{"sqlite:a%00b", "holds NUL"},
           Row{"sqlite:%ff", "its path is not valid UTF-8"},
           Row{"sqlite:a?x", "has to be key=value"},
           Row{"sqlite:a?=x", "has to be key=value"},
           Row{"sqlite:a?x=1&", "has to be key=value"},
           Row{"sqlite:a?&x=1", "has to be key=value"},
           Row{"sqlite:a?x=%", "% in its settings"},
           Row{"sqlite:a?%zz=1", "% in its settings"},
           Row{"postgresql://%@db/x", "% in its user"},
           Row{"postgresql://%ff@db/x", "its user is not valid UTF-8"},
           Row{"postgresql://d%b/x", "% in its host"},
           Row{"postgresql://u@/x", "a host is missing"},
           Row{"postgresql://a,/x", "a host is missing"},
           Row{"postgresql://,a/x", "a host is missing"},
           Row{"postgresql://:5432/x", "a host is missing"},
           Row{"postgresql://[]/x", "a host is missing"},
           Row{"postgresql://a:/x", "a port has to be a number"},
           Row{"postgresql://a:0/x", "a port has to be a number"},
           Row{"postgresql://a:65536/x", "a port has to be a number"},
           Row{"postgresql://a:-1/x", "a port has to be a number"},
           Row{"postgresql://a:54x/x", "a port has to be a number"},
           Row{"postgresql://a: 1/x", "a port has to be a number"},
           Row{"postgresql://[::1]:/x", "a port has to be a number"},
           Row{"postgresql://::1/x", "has to be in brackets"},
           Row{"postgresql://[::1/x", "does not end"},
           Row{"postgresql://[::1]5432/x", "only a port may follow"},
       }) {
    SCOPED_TRACE(string(row.text));
    EXPECT_ERROR(Url::parse(row.text), ErrorCode::invalid_argument, row.words);
  }
}

TEST(Url, ErrorsDoNotTellThePassword) {
  for (const std::string_view text : {
           "postgresql://app:hunter2%@db/x",
           "postgresql://app:hunter2%00@db/x",
           "postgresql://app:hunter2%ff@db/x",
           "postgresql://app:hunter2@db:99999/x",
           "postgresql://app:hunter2@/x",
           "postgresql://app:hunter2@[::1/x",
           "postgresql://app:hunter2@::1/x",
           "postgresql://app:hunter2/x@db/x",  // an unencoded slash: the password looks like a port
           "postgresql://app:hunter2?x@db/x",  // an unencoded question mark
           "postgresql://app:hunter2@db/x?y",
           "postgresql://app:hunter2@db/%zz",
           "sqlite://app:hunter2@db/x",
           "post gresql://app:hunter2@db/x",
           "//app:hunter2@db/x",
       }) {
    SCOPED_TRACE(string(text));
    const Error error = testing::error_of([&] { static_cast<void>(Url::parse(text)); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_FALSE(testing::contains(error.what(), "hunter")) << error.what();
  }
}

TEST(Url, AllowsTheSettingsThatItIsToldOf) {
  const Url url = Url::parse("sqlite:x?busy_timeout=1s&synchronous=full");
  EXPECT_NO_THROW(url.allow_params({"synchronous", "readers", "busy_timeout"}));
  EXPECT_NO_THROW(Url::parse("sqlite:x").allow_params({}));
  EXPECT_NO_THROW(Url::parse("sqlite:x?").allow_params({}));
  EXPECT_ERROR(url.allow_params({"synchronous"}), ErrorCode::invalid_argument,
               "\"busy_timeout\" is not a setting of sqlite");
  EXPECT_ERROR(url.allow_params({"synchronous", "readers"}), ErrorCode::invalid_argument, "synchronous, readers");
  EXPECT_ERROR(url.allow_params({}), ErrorCode::invalid_argument, "\"busy_timeout\"");
  EXPECT_ERROR(Url::parse("sqlite:x?a=1&b=2&a=1").allow_params({"a", "b"}), ErrorCode::invalid_argument,
               "\"a\" comes twice");
  EXPECT_ERROR(Url::parse("sqlite:x?A=1").allow_params({"a"}), ErrorCode::invalid_argument, "\"A\"");
}

TEST(Url, SuggestsTheNearestSetting) {
  const auto message = [](std::string_view text) {
    const Url url = Url::parse(text);
    return testing::error_of([&] { url.allow_params({"busy_timeout", "synchronous", "readers"}); }).message();
  };
  EXPECT_TRUE(testing::contains(message("sqlite:x?bussy_timeout=1"), "did you mean \"busy_timeout\"?"));
  EXPECT_TRUE(testing::contains(message("sqlite:x?reader=1"), "did you mean \"readers\"?"));
  EXPECT_TRUE(testing::contains(message("sqlite:x?synchronuos=full"), "did you mean \"synchronous\"?"));
  EXPECT_FALSE(testing::contains(message("sqlite:x?journal=wal"), "did you mean"));
  EXPECT_FALSE(testing::contains(message("sqlite:x?" + string(1000, 'r') + "=1"), "did you mean"));
}

TEST(Url, Durations) {
  using std::chrono::milliseconds;
  const auto duration = [](const string& value) { return Url::parse("sqlite:x?t=" + value).duration_param("t"); };
  EXPECT_EQ(duration("250ms"), milliseconds(250));
  EXPECT_EQ(duration("10s"), milliseconds(10'000));
  EXPECT_EQ(duration("10"), milliseconds(10'000));
  EXPECT_EQ(duration("2m"), milliseconds(120'000));
  EXPECT_EQ(duration("0"), milliseconds(0));
  EXPECT_EQ(duration("1440m"), milliseconds(86'400'000));
  EXPECT_EQ(duration("86400000ms"), milliseconds(86'400'000));
  EXPECT_FALSE(Url::parse("sqlite:x?u=1").duration_param("t"));
  for (const char* value : {"", "s", "ms", "1h", "1.5s", "-1s", "1S", "1%20s", "%201s", "1s%20", "1sec", "+1s", "1ms1",
                            "1441m", "86401", "86400001ms", "9223372036854775807m", "99999999999999999999"}) {
    SCOPED_TRACE(value);
    EXPECT_ERROR(duration(value), ErrorCode::invalid_argument, "\"t\" has to be a duration");
  }
}

TEST(Url, Integers) {
  const auto integer = [](const string& value) { return Url::parse("sqlite:x?n=" + value).integer_param("n", -2, 64); };
  EXPECT_EQ(integer("-2"), -2);
  EXPECT_EQ(integer("0"), 0);
  EXPECT_EQ(integer("64"), 64);
  EXPECT_FALSE(Url::parse("sqlite:x").integer_param("n", 1, 64));
  for (const char* value : {"", "-3", "65", "1.0", "1e1", "0x1", "+1", "%201", "1%20", "one", "99999999999999999999"}) {
    SCOPED_TRACE(value);
    EXPECT_ERROR(integer(value), ErrorCode::invalid_argument, "\"n\" has to be a whole number from -2 to 64");
  }
}

TEST(Url, Choices) {
  const auto choice = [](const string& value) {
    return Url::parse("sqlite:x?c=" + value).choice_param("c", {"full", "normal"});
  };
  EXPECT_EQ(choice("full"), "full");
  EXPECT_EQ(choice("normal"), "normal");
  EXPECT_FALSE(Url::parse("sqlite:x").choice_param("c", {"full"}));
  for (const char* value : {"", "Full", "off", "full%20", "fullnormal"}) {
    SCOPED_TRACE(value);
    EXPECT_ERROR(choice(value), ErrorCode::invalid_argument, "\"c\" has to be one of full, normal");
  }
}

TEST(Url, ToStringKeepsSecrets) {
  const string text = Url::parse(
                          "postgresql://app:hunter2@db/x?sslpassword=hunter3&APIKEY=hunter4&auth_Token=hunter5"
                          "&client_secret=hunter6&pwd=hunter7&passwd=hunter8&mode=rw")
                          .to_string();
  EXPECT_FALSE(testing::contains(text, "hunter")) << text;
  EXPECT_EQ(text,
            "postgresql://app:***@db/x?sslpassword=***&APIKEY=***&auth_Token=***&client_secret=***&pwd=***&passwd=***"
            "&mode=rw");
  // Nor does it tell that the password is empty, or how long it is.
  EXPECT_EQ(Url::parse("postgresql://app:@db/x").to_string(), "postgresql://app:***@db/x");
}

TEST(Url, ToStringIsReadAsTheSameUrl) {
  for (const string text : {"sqlite:books.db", "sqlite:///var/books.db", "sqlite::memory:", "memory:",
                            "sqlite:a%3Fb%25c%20d?busy_timeout=1s&x=a%26b", "postgresql://app@db.example:5433/ledger",
                            "postgresql://a,b:1,[::1]:2/x?sslmode=require", "mssql://db", "sqlite:%C3%A9.db"}) {
    const Url url = Url::parse(text);
    EXPECT_EQ(url.to_string(), text);
    const Url again = Url::parse(url.to_string());
    EXPECT_EQ(again.path, url.path) << text;
    EXPECT_EQ(again.hosts, url.hosts) << text;
    EXPECT_EQ(again.params, url.params) << text;
  }
}

}  // namespace
}  // namespace stele
