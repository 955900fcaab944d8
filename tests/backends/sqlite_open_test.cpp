// Opening SQLite databases, and what goes wrong there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>

#include "sqlite_file.h"
#include "stele/event_store.h"
#include "stele/migrate.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

EventStore open_store(const std::string& url, bool migrate = false) {
  Registry registry;
  sqlite::register_driver(registry);
  return EventStore::open(registry, url, {.migrate = migrate});
}

std::string error_code_of(const std::function<void()>& call, std::string_view mentions = {}) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find(mentions), std::string::npos) << error.message();
    return std::string(to_string(error.code()));
  }
  return "no error";
}

std::vector<NewEvent> one_event() {
  std::vector<NewEvent> events(1);
  events[0].type = "happened";
  return events;
}

class SqliteOpen : public ::testing::Test {
 protected:
  std::string url(const std::string& name, const std::string& settings = {}) const {
    return "sqlite://" + directory_.file(name).string() + settings;
  }
  TemporaryDirectory directory_;
};

TEST_F(SqliteOpen, SettingsInTheUrlAreChecked) {
  const std::string file = url("a.db");
  const auto code = [&](const std::string& settings, std::string_view mentions) {
    return error_code_of([&] { open_store(file + settings, true); }, mentions);
  };
  EXPECT_EQ(code("?synchronous=off", "synchronous"), "invalid_argument");
  EXPECT_EQ(code("?synchronous=FULL", "synchronous"), "invalid_argument");
  EXPECT_EQ(code("?busy_timeout=soon", "busy_timeout"), "invalid_argument");
  EXPECT_EQ(code("?busy_timeout=-1s", "busy_timeout"), "invalid_argument");
  EXPECT_EQ(code("?readers=0", "readers"), "invalid_argument");
  EXPECT_EQ(code("?readers=65", "readers"), "invalid_argument");
  EXPECT_EQ(code("?readers=many", "readers"), "invalid_argument");
  EXPECT_EQ(code("?busytimeout=1s", "busy_timeout"), "invalid_argument");  // The nearest name is suggested.
  EXPECT_EQ(code("?readers=2&readers=3", "readers"), "invalid_argument");
  EXPECT_FALSE(std::filesystem::exists(directory_.file("a.db"))) << "a database was made for a URL that is refused";
  EXPECT_EQ(error_code_of([] { open_store("sqlite:"); }), "invalid_argument");
  for (const char* good : {"?synchronous=full", "?synchronous=extra", "?synchronous=normal", "?busy_timeout=250ms",
                           "?readers=1", "?readers=64&busy_timeout=1s"}) {
    EXPECT_NO_THROW(open_store(file + good, true)) << good;
  }
}

TEST_F(SqliteOpen, SynchronousIsFullUnlessAskedOtherwise) {
  StatementTrace trace;  // What a connection was set to cannot be asked from outside.
  open_store(url("full.db"), true);
  std::vector<std::string> made = trace.take();
  EXPECT_GE(std::count(made.begin(), made.end(), "PRAGMA synchronous = FULL"), 1);
  open_store(url("normal.db", "?synchronous=normal"), true);
  made = trace.take();
  EXPECT_EQ(std::count(made.begin(), made.end(), "PRAGMA synchronous = FULL"), 0);
  EXPECT_GE(std::count(made.begin(), made.end(), "PRAGMA synchronous = NORMAL"), 1);
  EXPECT_EQ(SqliteConnection(directory_.file("full.db")).rows("PRAGMA journal_mode"), std::vector<std::string>{"wal"});
}

TEST_F(SqliteOpen, AMissingFileIsNotMade) {
  EXPECT_EQ(error_code_of([&] { open_store(url("missing.db")); }, "missing.db"), "cannot_connect");
  EXPECT_FALSE(std::filesystem::exists(directory_.file("missing.db")));
}

TEST_F(SqliteOpen, AMissingDirectoryAndADirectory) {
  EXPECT_EQ(error_code_of([&] { open_store(url("no/such/dir.db"), true); }), "cannot_connect");
  std::filesystem::create_directory(directory_.file("dir"));
  EXPECT_EQ(error_code_of([&] { open_store(url("dir"), true); }), "cannot_connect");
}

TEST_F(SqliteOpen, AFileThatIsNoDatabaseIsLeftAlone) {
  const std::string text(10'000, 'x');
  std::ofstream(directory_.file("text.db"), std::ios::binary) << text;
  EXPECT_EQ(error_code_of([&] { open_store(url("text.db")); }), "corrupt");
  EXPECT_EQ(error_code_of([&] { open_store(url("text.db"), true); }), "corrupt");
  std::ifstream in(directory_.file("text.db"), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
}

TEST_F(SqliteOpen, ADamagedDatabaseIsCorrupt) {
  {
    EventStore store = open_store(url("damaged.db"), true);
    for (int i = 0; i < 50; ++i) store.append({"a", std::to_string(i)}, ExpectedVersion::any(), one_event());
  }
  const auto size = std::filesystem::file_size(directory_.file("damaged.db"));
  {
    std::fstream file(directory_.file("damaged.db"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(static_cast<std::size_t>(size) - 4096, '\x5a');
  }
  EXPECT_EQ(error_code_of([&] {
              EventStore store = open_store(url("damaged.db"));
              EventReader reader = store.read_log();
              while (reader.next() != nullptr) {
              }
            }),
            "corrupt");
}

TEST_F(SqliteOpen, AnUnmigratedDatabaseIsOutdated) {
  ASSERT_EQ(SqliteConnection(directory_.file("empty.db")).execute("CREATE TABLE of_somebody_else (x)"), "");
  EXPECT_EQ(error_code_of([&] { open_store(url("empty.db")); }), "schema_outdated");
}

/// Somebody without special rights for a while: root may write to any file.
class Unprivileged {
 public:
  Unprivileged() {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) throw std::runtime_error("cannot give rights up");
  }
  ~Unprivileged() {
    if (::getuid() == 0 && ::seteuid(0) != 0) std::abort();
  }
};

TEST_F(SqliteOpen, AReadOnlyFileIsPermissionDenied) {
  namespace fs = std::filesystem;
  open_store(url("read-only.db"), true).append({"a", "b"}, ExpectedVersion::any(), one_event());
  fs::permissions(directory_.file("read-only.db"),
                  fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
  fs::permissions(directory_.file("."), fs::perms::all);
  const Unprivileged unprivileged;
  EXPECT_EQ(error_code_of([&] {
              EventStore store = open_store(url("read-only.db"));
              store.append({"a", "b"}, ExpectedVersion::any(), one_event());
            }),
            "permission_denied");
}

TEST_F(SqliteOpen, TheBusyTimeoutIsKept) {
  EventStore store = open_store(url("busy.db", "?busy_timeout=300ms"), true);
  store.append({"a", "b"}, ExpectedVersion::any(), one_event());
  SqliteConnection other(directory_.file("busy.db"));
  ASSERT_EQ(other.execute("BEGIN IMMEDIATE"), "");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_code_of([&] { store.append({"a", "b"}, ExpectedVersion::any(), one_event()); }), "busy");
  const auto waited = std::chrono::steady_clock::now() - start;
  EXPECT_GE(waited, std::chrono::milliseconds(290));
  EXPECT_LT(waited, std::chrono::seconds(5));
  ASSERT_EQ(other.execute("ROLLBACK"), "");
  EXPECT_EQ(store.append({"a", "b"}, ExpectedVersion::exactly(1), one_event()).streams[0].last_version, Version(2));
}

TEST_F(SqliteOpen, NamesWithEveryKindOfCharacter) {
  for (const std::string name :
       {"with space.db", "per%25cent.db", "quo'te.db", "ünï.db", "semi;colon=x.db", "ha#sh.db"}) {
    // The URL is percent-encoded where its grammar asks for it.
    std::string encoded;
    for (const char c : name) encoded += c == '%' ? "%25" : c == '#' ? "%23" : c == '?' ? "%3F" : std::string(1, c);
    open_store(url(encoded), true).append({"a", "b"}, ExpectedVersion::any(), one_event());
    EXPECT_TRUE(std::filesystem::exists(directory_.file(name))) << name;
    EXPECT_EQ(open_store(url(encoded)).stream_version({"a", "b"}), Version(1)) << name;
  }
}

TEST_F(SqliteOpen, SlashesAtTheBeginningOfAPathAreNoHost) {
  open_store(url("slashes.db"), true);
  const std::string path = directory_.file("slashes.db").string();
  ASSERT_EQ(path.front(), '/');
  for (const char* more : {"", "/", "//"}) {
    EXPECT_EQ(open_store("sqlite://" + (more + path)).stats().events, 0) << more;
  }
}

TEST_F(SqliteOpen, TheFileSaysWhoseItIs) {
  open_store(url("a.db"), true);
  EXPECT_EQ(SqliteConnection(directory_.file("a.db")).rows("PRAGMA application_id"),
            std::vector<std::string>{"1398031692"});
}

}  // namespace
}  // namespace stele::testing
