// G7 on SQL Server, where a lower position may be committed after a higher one: the interleavings are forced from bare
// connections, which stop where Stele's own never do.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <random>
#include <thread>

#include "mssql_server.h"
#include "stele/mssql.h"
#include "stele/registry.h"
#include "stele/uuid.h"

namespace stele::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using Positions = std::vector<std::int64_t>;

constexpr std::int64_t range_size = 256;  // As in migration 0001.

/// Short on a developer's machine; STELE_TEST_LONG=1 takes its time.
seconds lasting(seconds usually, seconds at_length) {
  const char* asked = std::getenv("STELE_TEST_LONG");
  return asked != nullptr && std::string(asked) == "1" ? at_length : usually;
}

EventStore open(const std::string& url, bool migrate = false) {
  Registry registry;
  mssql::register_driver(registry);
  return EventStore::open(registry, url, {.migrate = migrate});
}

NewEvent event() {
  NewEvent made;
  made.type = "Happened";
  return made;
}

/// Reads the log as an application does: again and again from the last position that it saw.
class Follower {
 public:
  explicit Follower(const std::string& url) : store_(open(url)) {}

  /// Takes what there is for now. Returns the new positions.
  Positions poll() {
    Positions fresh;
    EventReader reader = store_.read_log({.after = Position(last())});
    while (const RecordedEvent* found = reader.next()) {
      if (found->position.value() <= last())
        faults += "position " + std::to_string(found->position.value()) + " late; ";
      Version& version = versions_[found->stream];
      if (found->version.value() != version.value() + 1) faults += found->stream.to_string() + " out of order; ";
      version = found->version;
      seen_.push_back(found->position.value());
      fresh.push_back(found->position.value());
    }
    return fresh;
  }

  std::int64_t last() const { return seen_.empty() ? 0 : seen_.back(); }
  const Positions& seen() const { return seen_; }

  std::string faults;

 private:
  EventStore store_;
  Positions seen_;
  std::map<StreamKey, Version> versions_;
};

/// A connection that is in the middle of a transaction.
class Stopped {
 public:
  explicit Stopped(const MssqlSchema& schema) : schema_(schema) {
    connection_.run("SET NOCOUNT ON; SET XACT_ABORT ON");
    process_ = connection_.value("SELECT @@SPID");
    connection_.run("BEGIN TRANSACTION");
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  /// A driver manager that pools connections would keep the transaction otherwise.
  ~Stopped() {
    if (!hanging_up_) connection_.execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION");
  }

  /// One event with the procedure append_one: everything that Stele does, but for the commit.
  std::int64_t append(const std::string& id) {
    const std::string name = "N'" + id + "'";
    const std::string key = "CAST('" + id + "' AS VARBINARY(255))";
    const std::string answer = connection_.value(
        "DECLARE @key VARBINARY(255) = " + key + "; EXEC " + schema_.quoted() + ".append_one N'default', N'thing', " +
        name + ", 0x64656661756C74, 0x7468696E67, @key, N'" + schema_.quoted() + ":test:" + id + "', -1, '" +
        Uuid::v7().to_string() + "', 0, N'Happened', 1, '2026-01-02', N'{}'");
    // status|version|position|outcome
    return std::stoll(answer.substr(answer.find('|', answer.find('|') + 1) + 1));
  }
  /// The same with append_to_stream; the stream has to be there.
  std::int64_t append_to_stream(const std::string& id) {
    const std::string answer =
        connection_.value("DECLARE @key VARBINARY(255) = CAST('" + id + "' AS VARBINARY(255)); EXEC " +
                          schema_.quoted() + ".append_to_stream 0x64656661756C74, 0x7468696E67, @key, -1, '" +
                          Uuid::v7().to_string() + "', 0, N'Happened', 1, '2026-01-02', N'{}'");
    return std::stoll(answer.substr(answer.rfind('|') + 1));  // status|version|position
  }
  void announce() { connection_.run("EXEC " + schema_.quoted() + ".announce_positions"); }
  void begin_spans() { connection_.run("EXEC " + schema_.quoted() + ".begin_spans"); }
  /// One of several events, to a stream that is there.
  std::int64_t insert(const std::string& id) {
    const std::string one = " WHERE stream_id = N'" + id + "'";
    connection_.run("UPDATE " + schema_.quoted() + ".streams SET version = version + 1" + one);
    return std::stoll(connection_.value(
        "INSERT INTO " + schema_.quoted() +
        ".events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, "
        "recorded_at, redaction_level, contains_secrets, attribute_count, data) SELECT stream_no, version, tenant_id, "
        "stream_type, NEWID(), N'Happened', 1, SYSUTCDATETIME(), last_recorded_at, N'none', 0, 0, N'{}' FROM " +
        schema_.quoted() + ".streams" + one + "; SELECT CAST(SCOPE_IDENTITY() AS BIGINT)"));
  }
  void end_span(std::int64_t first, std::int64_t last) {
    connection_.run("INSERT INTO " + schema_.quoted() + ".append_spans (first_position, last_position) VALUES (" +
                    std::to_string(first) + ", " + std::to_string(last) + "); EXEC " + schema_.quoted() + ".end_spans");
  }
  void run(const std::string& sql) { connection_.run(sql); }
  void commit() { connection_.run("COMMIT TRANSACTION"); }
  void rollback() { connection_.run("ROLLBACK TRANSACTION"); }
  /// The connection ends with its transaction. Not where the driver manager pools connections.
  void hang_up_at_the_end() { hanging_up_ = true; }
  /// The server's number of this connection.
  const std::string& process() const { return process_; }

 private:
  MssqlConnection connection_;
  const MssqlSchema& schema_;
  std::string process_;
  bool hanging_up_ = false;
};

class MssqlOrdering : public ::testing::Test {
 protected:
  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    schema_ = std::make_unique<MssqlSchema>();
    store_ = std::make_unique<EventStore>(open(schema_->url(), true));
    watch_ = std::make_unique<MssqlConnection>();
    watch_->run("SET NOCOUNT ON; SET XACT_ABORT ON");
  }
  void expect_sound() {
    const VerifyReport report = store_->verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
  }

  std::int64_t append(const std::string& id, int events = 1) {
    return store_->append(StreamKey("thing", id), ExpectedVersion::any(), std::vector<NewEvent>(events, event()))
        .or_throw()
        .streams[0]
        .first_position.value();
  }
  /// As many appends of one event each.
  std::int64_t append_each(const std::string& id, std::int64_t appends) {
    AppendRequest request;
    request.streams.push_back({StreamKey("thing", id), ExpectedVersion::any(), {event()}});
    const std::vector<AppendRequest> all(static_cast<std::size_t>(appends), request);
    return store_->append_all(all).front().or_throw().streams[0].first_position.value();
  }
  /// A rolled back append: a position that nobody will ever have.
  void leave_hole() {
    Stopped writer(*schema_);
    writer.append("never");
    writer.rollback();
  }
  void stop_before_its_lock(std::int64_t (Stopped::*append_by)(const std::string&));
  Follower follower() { return Follower(schema_->url()); }
  std::string table(const std::string& name) const { return schema_->quoted() + "." + name; }
  void next_position(std::int64_t position) {
    watch_->run("DBCC CHECKIDENT ('" + schema_->name() + ".events', RESEED, " + std::to_string(position) + ")");
  }
  /// Gives every position from the beginning of this one's range to somebody.
  Positions fill_range_up_to(std::int64_t position) {
    if (position == 0) return {};
    const std::int64_t first = std::max<std::int64_t>(position / range_size * range_size, 1);
    next_position(first);
    append("filler", static_cast<int>(position - first + 1));
    const Positions all = committed();
    EXPECT_EQ(all.back(), position);
    return all;
  }
  /// Ends a connection, and waits until the server has undone what it did.
  void kill(Stopped& writer) {
    const std::string process = writer.process();
    watch_->run("KILL " + process);
    wait_for_end_of(process);
  }
  void wait_for_end_of(const std::string& process) {
    const auto since = steady_clock::now();
    while (watch_->value("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = " + process) != "0") {
      ASSERT_LT(steady_clock::now() - since, seconds(10)) << "the connection does not end";
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  Positions committed() {
    Positions all;
    for (const std::string& row : watch_->rows("SELECT global_position FROM " + table("events") + " ORDER BY 1")) {
      all.push_back(std::stoll(row));
    }
    return all;
  }
  Positions backwards() {
    Positions all;
    for (const RecordedEvent& found : store_->read_log({.direction = Direction::backwards})) {
      all.push_back(found.position.value());
    }
    return all;
  }
  /// Whether somebody holds this lock of the store.
  bool held(const std::string& name) {
    // Babelfish keeps an error for each lock that it says is held, and does not survive the sixth; IDENT_CURRENT makes
    // it forget them.
    return watch_->rows("SELECT APPLOCK_TEST(N'public', N'" + schema_->quoted() + ":" + name +
                        "', N'IntentExclusive', N'Session'), IDENT_CURRENT(N'')")[0] == "0|NULL";
  }

  std::unique_ptr<MssqlSchema> schema_;
  std::unique_ptr<EventStore> store_;
  std::unique_ptr<MssqlConnection> watch_;
};

// --- Writers that stop between their position and their commit -------------------------------------------------------

enum class Ending { commit, rollback, killed, hung_up };

struct Case {
  std::string name;
  std::int64_t before_first;  // The position before those of the test; 0 for a new store.
  Ending ending;
};

void PrintTo(const Case& tested, std::ostream* out) {
  *out << tested.name;
}

class MssqlStoppedWriter : public MssqlOrdering, public ::testing::WithParamInterface<Case> {};

TEST_P(MssqlStoppedWriter, HoldsBackWhatIsBehindItsPositions) {
  const auto& [name, before_first, ending] = GetParam();
  // Positions that nobody has keep new readers waiting, as long as somebody is in flight who began in their range.
  Positions earlier = fill_range_up_to(before_first);
  Follower early = follower();
  const std::int64_t before = append("before");
  earlier.push_back(before);
  ASSERT_EQ(early.poll(), earlier);

  auto stopped = std::make_unique<Stopped>(*schema_);
  const std::int64_t held = stopped->append("stopped");
  ASSERT_EQ(held, before + 1);
  Positions others;
  for (int i = 0; i < 6; ++i) others.push_back(append("other-" + std::to_string(i % 3)));
  ASSERT_EQ(others.front(), held + 1);

  Follower late = follower();
  ASSERT_EQ(late.poll(), earlier);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(early.poll(), Positions{}) << "overtaken by a higher position";
  EXPECT_EQ(backwards(), Positions(earlier.rbegin(), earlier.rend()))
      << "what is not settled has no place in the log yet";
  // Nobody but readers of the log's end is kept waiting, and by nothing but the position.
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "other-0")), Version(2));

  switch (ending) {
    case Ending::commit: stopped->commit(); break;
    case Ending::rollback: stopped->rollback(); break;
    case Ending::killed: kill(*stopped); break;
    case Ending::hung_up: {
      const std::string process = stopped->process();
      stopped->hang_up_at_the_end();
      stopped.reset();
      wait_for_end_of(process);
      break;
    }
  }
  Positions rest = others;
  if (ending == Ending::commit) rest.insert(rest.begin(), held);
  EXPECT_EQ(early.poll(), rest) << "everything is settled now, so nothing is to be waited for";
  EXPECT_EQ(late.poll(), rest);
  EXPECT_EQ(early.seen(), committed());
  EXPECT_EQ(early.faults + late.faults, "");
}

std::vector<Case> stopped_writers() {
  const std::vector<std::pair<std::string, std::int64_t>> starts = {{"New", 0},
                                                                    {"AtARangesEnd", range_size - 3},
                                                                    {"BeforeARangesEnd", range_size - 4},
                                                                    {"AcrossARangesEnd", range_size - 6},
                                                                    {"AtARangesBeginning", range_size - 2},
                                                                    {"FarAway", 70 * range_size + 5},
                                                                    {"At31Bits", (1LL << 31) - 3},
                                                                    {"At53Bits", (1LL << 53) - 4}};
  std::vector<Case> all;
  for (const auto& [name, value] : starts) {
    all.push_back({name + "Commit", value, Ending::commit});
    all.push_back({name + "Rollback", value, Ending::rollback});
  }
  all.push_back({"NewKilled", 0, Ending::killed});
  all.push_back({"NewHungUp", 0, Ending::hung_up});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Endings, MssqlStoppedWriter, ::testing::ValuesIn(stopped_writers()),
                         [](const auto& tested) { return tested.param.name; });

// Two at once, of which the later one ends first; and one that appended twice in its transaction.
TEST_F(MssqlOrdering, SeveralStoppedWriters) {
  Follower reader = follower();
  Stopped first(*schema_);
  Stopped second(*schema_);
  const std::int64_t a = first.append("a");
  const std::int64_t b = second.append("b");
  const std::int64_t c = append("c");
  const std::int64_t again = first.append("a");
  const std::int64_t d = append("d");
  EXPECT_EQ(reader.poll(), Positions{});
  second.commit();
  EXPECT_EQ(reader.poll(), Positions{});
  first.commit();
  EXPECT_EQ(reader.poll(), (Positions{a, b, c, again, d}));

  Stopped third(*schema_);
  Stopped fourth(*schema_);
  const std::int64_t e = third.append("e");
  const std::int64_t f = append("f");
  fourth.append("g");
  const std::int64_t h = append("h");
  EXPECT_EQ(reader.poll(), Positions{});
  third.commit();
  EXPECT_EQ(reader.poll(), (Positions{e, f})) << "up to the next one that is stopped";
  fourth.rollback();
  EXPECT_EQ(reader.poll(), Positions{h});
  EXPECT_EQ(reader.faults, "");
}

// The one that has the older transaction appends second. Ordered by transactions, version 2 would come first.
TEST_F(MssqlOrdering, OlderTransactionAppendsSecond) {
  Follower reader = follower();
  Stopped older(*schema_);
  older.append("own");  // So that it has a transaction, and an announcement.
  Stopped younger(*schema_);
  const std::int64_t first = younger.append("same");
  younger.commit();
  EXPECT_EQ(reader.poll(), Positions{}) << "its position lies behind one that is open";
  const std::int64_t second = older.append("same");
  older.commit();
  EXPECT_EQ(reader.poll(), (Positions{first - 1, first, second}));
  EXPECT_EQ(reader.faults, "");
}

// --- Writers that stop before their position -------------------------------------------------------------------------

// Nothing is missing yet, and others fill the range that it announced, and the next one.
TEST_F(MssqlOrdering, StoppedBeforeItsPosition) {
  Follower early = follower();
  const std::int64_t before = append("before");
  Stopped stopped(*schema_);
  stopped.announce();
  const std::int64_t bulk = append_each("bulk", 2 * range_size);
  early.poll();
  EXPECT_EQ(early.last(), range_size - 1) << "up to the end of its range, where nothing can be missing";
  const std::int64_t held = stopped.append("stopped");
  ASSERT_EQ(held, bulk + 2 * range_size);
  const std::int64_t behind = append("behind");
  early.poll();
  Follower late = follower();
  late.poll();
  EXPECT_LT(early.last(), held);
  EXPECT_LT(late.last(), held);
  stopped.commit();
  early.poll();
  late.poll();
  EXPECT_EQ(early.seen(), committed());
  EXPECT_EQ(late.seen(), committed());
  EXPECT_EQ(early.seen().front(), before);
  EXPECT_EQ(early.last(), behind);
  EXPECT_EQ(early.faults + late.faults, "");
  expect_sound();
}

// It has read the log's end, and gets its range's lock only when the log has left that range behind: readers would no
// longer look for it there.
void MssqlOrdering::stop_before_its_lock(std::int64_t (Stopped::*append_by)(const std::string&)) {
  Follower reader = follower();
  const std::int64_t before = append("before");
  append("stopped");
  MssqlConnection gate;
  const std::string range = "@Resource = N'" + schema_->quoted() + ":range:0', @LockOwner = N'Session'";
  gate.run("DECLARE @got INT; EXEC @got = sp_getapplock " + range +
           ", @LockMode = N'IntentExclusive'; IF @got < 0 THROW 50001, N'no gate', 1");
  Stopped stopped(*schema_);
  std::int64_t held = 0;
  std::string error;
  std::thread waiting([&] {
    try {
      held = (stopped.*append_by)("stopped");
    } catch (const std::exception& failed) {
      error = failed.what();
    }
  });
  // It waits before the gate as soon as nobody else would be let through.
  const auto since = steady_clock::now();
  while (!this->held("range:0") && steady_clock::now() - since < seconds(20)) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  // The log moves on by events of somebody who does not announce anything, so that the gate does not stop them.
  const std::string one =
      " WHERE tenant_key = 0x64656661756C74 AND type_key = 0x7468696E67 AND stream_key = 0x6265666F7265";
  watch_->run("UPDATE " + table("streams") + " SET version = 2000" + one);
  watch_->run("DECLARE @i INT = 2; WHILE @i <= 2000 BEGIN INSERT INTO " + table("events") +
              " (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, "
              "recorded_at, redaction_level, contains_secrets, attribute_count, data) SELECT stream_no, @i, tenant_id, "
              "stream_type, NEWID(), N'Happened', 1, SYSUTCDATETIME(), last_recorded_at, N'none', 0, 0, N'{}' FROM " +
              table("streams") + one + "; SET @i = @i + 1; END");
  gate.run("EXEC sp_releaseapplock " + range);
  waiting.join();
  ASSERT_EQ(error, "");
  ASSERT_EQ(held, before + 2001);
  EXPECT_TRUE(this->held("range:" + std::to_string(held / range_size))) << "its announcement is where nobody looks";
  const std::int64_t behind = append("behind");
  reader.poll();
  EXPECT_LT(reader.last(), held);
  stopped.commit();
  reader.poll();
  EXPECT_EQ(reader.seen(), committed());
  EXPECT_EQ(reader.last(), behind);
  EXPECT_EQ(reader.faults, "");
  expect_sound();
}

TEST_F(MssqlOrdering, StoppedBeforeItsLock) {
  stop_before_its_lock(&Stopped::append);
}
TEST_F(MssqlOrdering, StoppedBeforeItsLockInTheShortProcedure) {
  stop_before_its_lock(&Stopped::append_to_stream);
}

// --- Whole appends: positions of others between an append's own ------------------------------------------------------

class MssqlWholeAppends : public MssqlOrdering {
 protected:
  std::vector<std::string> spans() {
    return watch_->rows("SELECT first_position, last_position FROM " + table("append_spans") +
                        " ORDER BY last_position");
  }
};

// One that is over has a position between, and one in flight has another.
TEST_F(MssqlWholeAppends, AreSeenAsAWholeOrNotYet) {
  const std::int64_t before = append("apart");
  Follower reader = follower();
  Stopped apart(*schema_);
  apart.begin_spans();
  const std::int64_t first = apart.insert("apart");
  const std::int64_t between = append("between");
  Stopped stopped(*schema_);
  const std::int64_t held = stopped.append("stopped");
  const std::int64_t last = apart.insert("apart");
  ASSERT_EQ(last, first + 3);
  apart.end_span(first, last);
  apart.commit();
  const std::int64_t behind = append("behind");

  EXPECT_EQ(reader.poll(), Positions{before}) << "a part of an append is in the log";
  EXPECT_EQ(reader.poll(), Positions{});
  EXPECT_EQ(backwards(), Positions{before});
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "apart")), Version(3)) << "its stream waits for nobody";
  stopped.commit();
  EXPECT_EQ(reader.poll(), (Positions{first, between, held, last, behind}));
  EXPECT_EQ(reader.faults, "");
  expect_sound();
}

// What is settled ends with the range that somebody in flight began in.
TEST_F(MssqlWholeAppends, AreNotCutAtARangesEnd) {
  const std::int64_t before = append("before");
  Stopped stopped(*schema_);
  stopped.announce();
  append("across", 2 * range_size);
  Follower reader = follower();
  EXPECT_EQ(reader.poll(), Positions{before});
  stopped.rollback();
  EXPECT_EQ(reader.poll().size(), 2U * range_size);
  EXPECT_EQ(reader.seen(), committed());
}

TEST_F(MssqlWholeAppends, EachLeavesItsSpan) {
  append("one");
  append_each("one", 5);
  EXPECT_EQ(spans(), std::vector<std::string>{}) << "one event has no parts";
  append("many", 70);
  AppendRequest one;
  one.streams.push_back({StreamKey("thing", "x"), ExpectedVersion::any(), {event()}});
  AppendRequest two = one;
  two.streams.push_back({StreamKey("thing", "y"), ExpectedVersion::any(), {event()}});
  store_->append(two).or_throw();
  std::vector<AppendRequest> all(150, two);
  all.insert(all.begin() + 1, one);
  for (const AppendResult& result : store_->append_all(all)) result.or_throw();
  std::vector<std::string> wanted = {"7|76", "77|78", "79|80"};
  for (std::int64_t first = 82; wanted.size() < 152; first += 2) {
    wanted.push_back(std::to_string(first) + "|" + std::to_string(first + 1));
  }
  EXPECT_EQ(spans(), wanted);
}

// Spans do not overlap: appends of several events insert them one after the other. Appends of one event have nothing to
// do with it.
TEST_F(MssqlWholeAppends, InsertOneAfterTheOther) {
  append("several");
  Stopped stopped(*schema_);
  stopped.begin_spans();
  std::int64_t first = 0;
  std::thread waiting([&] { first = append("several", 2); });
  const auto since = steady_clock::now();
  // The waiting one holds its stream.
  while (watch_
             ->execute("SET LOCK_TIMEOUT 0; UPDATE " + table("streams") +
                       " SET version = version WHERE stream_id = N'several'")
             .empty()) {
    if (steady_clock::now() - since > seconds(20)) break;
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_LT(steady_clock::now() - since, seconds(20)) << "it never got as far as that";
  const std::int64_t one = append("one");
  stopped.commit();
  waiting.join();
  EXPECT_EQ(first, one + 1);
}

// --- Holes that nobody fills -----------------------------------------------------------------------------------------

// Somebody is in flight all the time. Whether it was one of them that took the missing position is not to be told, as
// long as one of them began in its range; behind that, the hole holds nobody up.
TEST_F(MssqlOrdering, DeadHoleInARangeThatIsHeld) {
  Follower reader = follower();
  const std::int64_t before = append("before");
  leave_hole();
  ASSERT_EQ(append("behind"), before + 2) << "there is no hole";
  EXPECT_EQ(reader.poll(), (Positions{before, before + 2})) << "nobody is in flight";
  leave_hole();
  auto stopped = std::make_unique<Stopped>(*schema_);
  stopped->append("stopped");
  int passed = 0;
  for (int i = 0; i < 12; ++i) {
    append("beyond", 60);
    auto next = std::make_unique<Stopped>(*schema_);
    const std::int64_t range = (committed().back() + 1) / range_size;
    const std::int64_t position = next->append("stopped-" + std::to_string(i));
    stopped->commit();
    stopped = std::move(next);
    reader.poll();
    EXPECT_TRUE(held("range:" + std::to_string(range)));
    if (range == 0) {
      EXPECT_LT(reader.last(), before + 3);
    } else {
      const Positions all = committed();
      EXPECT_EQ(reader.seen(), Positions(all.begin(), std::lower_bound(all.begin(), all.end(), position)))
          << "held up by somebody who cannot fill the hole";
      ++passed;
    }
  }
  EXPECT_GE(passed, 3);
  stopped->commit();
  reader.poll();
  EXPECT_EQ(reader.seen(), committed());
  EXPECT_EQ(reader.faults, "");
}

TEST_F(MssqlOrdering, HolesOnly) {
  Follower reader = follower();
  for (int i = 0; i < 5; ++i) leave_hole();
  EXPECT_EQ(reader.poll(), Positions{});
  Stopped stopped(*schema_);
  const std::int64_t held = stopped.append("stopped");
  const std::int64_t behind = append("behind");
  leave_hole();
  EXPECT_EQ(reader.poll(), Positions{});
  stopped.commit();
  EXPECT_EQ(reader.poll(), (Positions{held, behind}));
}

// --- Transactions that have nothing to do with the store -------------------------------------------------------------

class MssqlStrangers : public MssqlOrdering {
 protected:
  /// Each event is read within a second of its append, for as long as this takes.
  void expect_prompt_reads() {
    Follower reader = follower();
    reader.poll();
    const auto end = steady_clock::now() + lasting(seconds(2), seconds(30));
    while (steady_clock::now() < end) {
      const Positions appended{append("prompt")};
      const auto since = steady_clock::now();
      Positions found;
      while (found.empty() && steady_clock::now() - since < seconds(1)) found = reader.poll();
      ASSERT_EQ(found, appended);
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
};

TEST_F(MssqlStrangers, InTheSameDatabase) {
  Stopped idle(*schema_);
  idle.run("SELECT COUNT(*) FROM " + table("events"));
  idle.run("DECLARE @got INT; EXEC @got = sp_getapplock @Resource = N'range:0', @LockMode = N'Exclusive'");
  expect_prompt_reads();
}

// A store in another schema of the same database.
TEST_F(MssqlStrangers, InAnotherStore) {
  const MssqlSchema other;
  EventStore store = open(other.url(), true);
  Stopped stopped(other);
  stopped.append("stopped");
  expect_prompt_reads();
}

// --- Everything at once ----------------------------------------------------------------------------------------------

/// Writers of all kinds, and what their threads threw.
class Writers {
 public:
  explicit Writers(const MssqlSchema& schema) : schema_(schema) {}

  /// Calls `once` again and again until stop(). Each error that is none of the test's making is kept.
  template <class Make>
  void start(Make make) {
    threads_.emplace_back([this, make, seed = threads_.size()] {
      try {
        auto once = make();
        std::mt19937 random(static_cast<unsigned>(seed));
        while (!stop_) once(random);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex_);
        errors += std::string(error.what()) + "; ";
      }
    });
  }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  ~Writers() { stop(); }

  static constexpr unsigned streams = 40;
  static std::string stream(std::mt19937& random) { return "s-" + std::to_string(random() % streams); }

  void through_stele() {
    start([url = schema_.url()] {
      return [store = std::make_shared<EventStore>(open(url))](std::mt19937& random) {
        std::vector<AppendRequest> requests;
        for (unsigned i = 0; i < 1 + random() % 3; ++i) {
          AppendRequest request;
          request.streams.push_back({StreamKey("thing", stream(random)), ExpectedVersion::any(),
                                     std::vector<NewEvent>(1 + random() % 3, event())});
          requests.push_back(std::move(request));
        }
        for (const AppendResult& result : store->append_all(requests)) result.or_throw();
      };
    });
  }

  /// Stalls between its position and the end of its transaction; one in five then rolls back, one in five is killed.
  void bare() {
    start([this] {
      return [this, killer = std::make_shared<MssqlConnection>()](std::mt19937& random) {
        Stopped writer(schema_);
        writer.append(stream(random));
        std::this_thread::sleep_for(milliseconds(random() % 15));
        const std::size_t fate = random() % 5;
        ++fates[std::min<std::size_t>(fate, 2)];
        if (fate == 0) {
          writer.rollback();
        } else if (fate == 1) {
          killer->run("KILL " + writer.process());
        } else {
          writer.commit();
        }
      };
    });
  }

  std::string errors;
  std::atomic<int> fates[3]{};

 private:
  const MssqlSchema& schema_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST_F(MssqlOrdering, WritersOfAllKindsAndReaders) {
  constexpr int readers = 4;
  std::vector<std::unique_ptr<Follower>> followers;
  for (int i = 0; i < readers; ++i) followers.push_back(std::make_unique<Follower>(schema_->url("connections=2")));
  // The bare writers have another name for the lock of a stream that does not exist.
  for (unsigned i = 0; i < Writers::streams; ++i) append("s-" + std::to_string(i));
  Writers writers(*schema_);
  for (int i = 0; i < 4; ++i) writers.through_stele();
  for (int i = 0; i < 4; ++i) writers.bare();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::vector<std::string> errors(readers);
  for (int i = 0; i < readers; ++i) {
    threads.emplace_back([&, i] {
      try {
        while (!stop) followers[i]->poll();
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
  }
  // New connections are slow: the time counts from when all kinds of writers are at work.
  const auto started = steady_clock::now();
  const auto all_at_work = [&] {
    return std::all_of(std::begin(writers.fates), std::end(writers.fates), [](const auto& fate) { return fate > 0; });
  };
  while (!all_at_work() && steady_clock::now() - started < seconds(60)) std::this_thread::sleep_for(milliseconds(10));
  std::this_thread::sleep_for(lasting(seconds(3), seconds(60)));
  writers.stop();
  stop = true;
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(writers.errors, "");
  for (const std::atomic<int>& fate : writers.fates) EXPECT_GT(fate, 0) << "not all kinds of writers were at work";
  // Those that were killed last may still be on their way out.
  Positions all = committed();
  const auto since = steady_clock::now();
  const auto everyone_is_there = [&] {
    return std::all_of(followers.begin(), followers.end(), [&](const auto& each) {
      each->poll();
      return each->last() == all.back();
    });
  };
  while (!everyone_is_there() && steady_clock::now() - since < seconds(10)) all = committed();
  EXPECT_GT(all.size(), 100U);
  std::int64_t holes = 0;
  for (std::size_t i = 1; i < all.size(); ++i) holes += all[i] - all[i - 1] - 1;
  EXPECT_GT(holes, 0) << "nobody rolled back with a position";
  for (int i = 0; i < readers; ++i) {
    EXPECT_EQ(errors[i], "");
    EXPECT_EQ(followers[i]->faults.substr(0, 500), "");
    EXPECT_TRUE(followers[i]->seen() == all)
        << followers[i]->seen().size() << " of " << all.size() << " events were read";
  }
  expect_sound();
}

}  // namespace
}  // namespace stele::testing
