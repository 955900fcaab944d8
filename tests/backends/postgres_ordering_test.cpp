// G7 on PostgreSQL, where a lower position may be committed after a higher one: the interleavings are forced from bare
// connections, which stop where Stele's own never do.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "postgres_server.h"

namespace stele::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using Positions = std::vector<std::int64_t>;

/// Short on a developer's machine; STELE_TEST_LONG=1 takes its time.
seconds lasting(seconds usually, seconds at_length) {
  const char* asked = std::getenv("STELE_TEST_LONG");
  return asked != nullptr && std::string(asked) == "1" ? at_length : usually;
}

NewEvent event() {
  NewEvent made;
  made.type = "Happened";
  return made;
}

/// Reads the log as an application does: again and again from the last position that it saw.
class Follower {
 public:
  explicit Follower(const std::string& url) : store_(open_migrated_postgres(url)) {}

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

class PostgresOrdering : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    schema_ = std::make_unique<PostgresSchema>();
    store_ = std::make_unique<EventStore>(open_postgres(schema_->url()));
    watch_ = std::make_unique<PostgresConnection>(schema_->connect());
  }
  void TearDown() override {
    if (store_ == nullptr) return;
    const VerifyReport report = store_->verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
  }

  std::int64_t append(const std::string& id, int events = 1) {
    return store_->append(StreamKey("thing", id), ExpectedVersion::any(), std::vector<NewEvent>(events, event()))
        .or_throw()
        .streams[0]
        .first_position.value();
  }
  static std::int64_t append(PostgresConnection& connection, const std::string& id, int events = 1) {
    return std::stoll(connection.value(append_sql("thing", id, events)));
  }
  PostgresConnection begin() {
    PostgresConnection connection = schema_->connect();
    connection.run("BEGIN");
    return connection;
  }
  Follower follower() { return Follower(schema_->url()); }
  /// Ends a connection's process, and waits until it is gone.
  void kill(const std::string& process) {
    ASSERT_EQ(watch_->value("SELECT pg_terminate_backend(" + process + ", 30000)"), "t");
  }
  Positions committed() {
    Positions all;
    for (const std::string& row : watch_->rows("SELECT global_position FROM events ORDER BY 1")) {
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

  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<EventStore> store_;
  std::unique_ptr<PostgresConnection> watch_;
};

// --- Writers that stop between their position and their commit -------------------------------------------------------

enum class Ending { commit, rollback, killed, rollback_to_savepoint };

struct Stopped {
  std::string name;
  std::int64_t before_first;  // The sequence's value before; 0 for a new store.
  Ending ending;
  bool several = false;  // Two appends at once, in place of one of two events.
};

class PostgresStoppedWriter : public PostgresOrdering, public ::testing::WithParamInterface<Stopped> {};

TEST_P(PostgresStoppedWriter, HoldsBackWhatIsBehindItsPositions) {
  const auto& [name, before_first, ending, several] = GetParam();
  if (before_first > 0) {
    watch_->run("SELECT setval('events_global_position_seq', " + std::to_string(before_first) + ")");
  }
  Follower early = follower();
  const std::int64_t before = append("before");
  ASSERT_EQ(early.poll(), Positions{before});

  PostgresConnection stopped = begin();
  stopped.run("SAVEPOINT here");
  const std::int64_t held = several ? std::stoll(stopped.value(append_several_sql("thing", {"stopped", "before"})))
                                    : append(stopped, "stopped", 2);
  ASSERT_EQ(held, before + 1);
  Positions others;
  for (int i = 0; i < 6; ++i) others.push_back(append("other-" + std::to_string(i % 3)));
  ASSERT_EQ(others.front(), held + 2);

  Follower late = follower();
  ASSERT_EQ(late.poll(), Positions{before});
  for (int i = 0; i < 20; ++i) ASSERT_EQ(early.poll(), Positions{}) << "overtaken by a higher position";
  EXPECT_EQ(backwards(), Positions{before}) << "what is not settled has no place in the log yet";
  // Nobody but readers of the log's end is kept waiting, and by nothing but the position.
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "other-0")), Version(2));

  switch (ending) {
    case Ending::commit: stopped.run("COMMIT"); break;
    case Ending::rollback: stopped.run("ROLLBACK"); break;
    case Ending::killed: kill(stopped.process()); break;
    case Ending::rollback_to_savepoint: stopped.run("ROLLBACK TO here"); break;
  }
  Positions rest = others;
  if (ending == Ending::commit) rest.insert(rest.begin(), {held, held + 1});
  EXPECT_EQ(early.poll(), rest) << "everything is settled now, so nothing is to be waited for";
  EXPECT_EQ(late.poll(), rest);
  EXPECT_EQ(early.seen(), committed());
  EXPECT_EQ(early.faults + late.faults, "");
  if (ending == Ending::rollback_to_savepoint) stopped.run("COMMIT");
}

std::vector<Stopped> stopped_writers() {
  const std::vector<std::pair<std::string, std::int64_t>> starts = {{"New", 0},
                                                                    {"Below31Bits", (1LL << 31) - 7},
                                                                    {"AcrossTheOthersAt31Bits", (1LL << 31) - 5},
                                                                    {"At31Bits", (1LL << 31) - 2},
                                                                    {"AtItselfAt31Bits", (1LL << 31) - 3},
                                                                    {"Above31Bits", (1LL << 31) + 1},
                                                                    {"At32Bits", (1LL << 32) - 2},
                                                                    {"HalfWay", (1LL << 30) - 3},
                                                                    {"At53Bits", 1LL << 53}};
  std::vector<Stopped> all;
  for (const auto& [name, value] : starts) {
    all.push_back({name + "Commit", value, Ending::commit});
    all.push_back({name + "Rollback", value, Ending::rollback});
  }
  for (const std::int64_t value : {std::int64_t{0}, (std::int64_t{1} << 31) - 2}) {
    const std::string name = value == 0 ? "Several" : "SeveralAt31Bits";
    all.push_back({name + "Commit", value, Ending::commit, true});
    all.push_back({name + "Rollback", value, Ending::rollback, true});
    all.push_back({name + "Killed", value, Ending::killed, true});
  }
  all.push_back({"NewKilled", 0, Ending::killed});
  all.push_back({"NewSavepoint", 0, Ending::rollback_to_savepoint});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Endings, PostgresStoppedWriter, ::testing::ValuesIn(stopped_writers()),
                         [](const auto& tested) { return tested.param.name; });

// Two at once, of which the later one ends first; and one that appended twice in its transaction.
TEST_F(PostgresOrdering, SeveralStoppedWriters) {
  Follower reader = follower();
  PostgresConnection first = begin();
  PostgresConnection second = begin();
  const std::int64_t a = append(first, "a");
  const std::int64_t b = append(second, "b");
  const std::int64_t c = append("c");
  const std::int64_t again = append(first, "a");
  const std::int64_t d = append("d");
  EXPECT_EQ(reader.poll(), Positions{});
  second.run("COMMIT");
  EXPECT_EQ(reader.poll(), Positions{});
  first.run("COMMIT");
  EXPECT_EQ(reader.poll(), (Positions{a, b, c, again, d}));

  PostgresConnection third = begin();
  PostgresConnection fourth = begin();
  const std::int64_t e = append(third, "e");
  const std::int64_t f = append("f");
  append(fourth, "g");
  const std::int64_t h = append("h");
  EXPECT_EQ(reader.poll(), Positions{});
  third.run("COMMIT");
  EXPECT_EQ(reader.poll(), (Positions{e, f})) << "up to the next one that is stopped";
  fourth.run("ROLLBACK");
  EXPECT_EQ(reader.poll(), Positions{h});
  EXPECT_EQ(reader.faults, "");
}

// An appender whose process stands still just between taking its positions and telling them. Nobody knows which they
// are.
TEST_F(PostgresOrdering, BetweenTheTwoLocks) {
  Follower early = follower();
  const std::int64_t before = append("before");
  ASSERT_EQ(early.poll(), Positions{before});
  PostgresConnection between = schema_->connect();
  between.run("SELECT pg_advisory_lock_shared(lock_class('events'), 0)");
  const std::int64_t taken = std::stoll(between.value("SELECT nextval('events_global_position_seq')"));
  const std::int64_t behind = append("behind");
  ASSERT_EQ(behind, taken + 1);

  // What a reader gets meanwhile: nothing, or that it is to come again.
  const auto meanwhile = [](Follower& reader) {
    try {
      return reader.poll();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
      EXPECT_TRUE(error.retryable());
      return Positions{};
    }
  };
  const auto started = steady_clock::now();
  Follower late = follower();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(meanwhile(early), Positions{});
    const Positions found = meanwhile(late);
    EXPECT_TRUE(found.empty() || found == Positions{before}) << "read on into what may still be filled";
  }
  EXPECT_LT(steady_clock::now() - started, seconds(30)) << "readers are not to hang";
  // Writers are not kept waiting at all.
  const std::int64_t more = append("behind");

  between.run("SELECT pg_advisory_unlock_shared(lock_class('events'), 0)");
  EXPECT_EQ(early.poll(), (Positions{behind, more}));
  late.poll();
  EXPECT_EQ(late.seen(), (Positions{before, behind, more}));
}

// --- Whole appends: positions of others between an append's own ------------------------------------------------------

class PostgresWholeAppends : public PostgresOrdering {
 protected:
  /// Appends three events whose positions lie three apart; the next position given is the one behind the first of them.
  std::int64_t append_apart(const std::string& id) {
    watch_->run("ALTER SEQUENCE events_global_position_seq INCREMENT BY 3");
    const std::int64_t first = append(id, 3);
    watch_->run("ALTER SEQUENCE events_global_position_seq INCREMENT BY 1");
    sequence_is_at(first);
    return first;
  }
  void sequence_is_at(std::int64_t value) {
    watch_->run("SELECT setval('events_global_position_seq', " + std::to_string(value) + ")");
  }
  std::string spans() {
    std::string all;
    for (const std::string& row :
         watch_->rows("SELECT first_position || '-' || last_position FROM append_spans ORDER BY last_position")) {
      all += row + " ";
    }
    return all;
  }
  void wait_until_somebody_waits_for_spans() {
    const auto deadline = steady_clock::now() + seconds(30);
    while (watch_->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                         "AND classid = 'append_spans'::regclass") == "0") {
      ASSERT_LT(steady_clock::now(), deadline);
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
};

// One that is over has a position between, and one in flight has another.
TEST_F(PostgresWholeAppends, AreSeenAsAWholeOrNotYet) {
  const std::int64_t before = append("before");
  const std::int64_t first = append_apart("apart");
  ASSERT_EQ(append("between"), first + 1);
  PostgresConnection stopped = begin();
  ASSERT_EQ(append(stopped, "stopped"), first + 2);
  sequence_is_at(first + 6);
  const std::int64_t behind = append("behind");

  Follower reader = follower();
  EXPECT_EQ(reader.poll(), Positions{before}) << "a part of an append is in the log";
  EXPECT_EQ(backwards(), Positions{before});
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "apart")), Version(3)) << "its stream waits for nobody";
  stopped.run("COMMIT");
  EXPECT_EQ(reader.poll(), (Positions{first, first + 1, first + 2, first + 3, first + 6, behind}));
  EXPECT_EQ(reader.faults, "");
}

// A reader may read the sequence while positions are taken, and look at the locks when that append is over.
TEST_F(PostgresWholeAppends, AreNotCutWhereTheSequenceWasRead) {
  const std::int64_t before = append("before");
  const std::int64_t first = append_apart("apart");
  Follower reader = follower();
  for (std::int64_t at = first; at < first + 6; ++at) {
    sequence_is_at(at);
    EXPECT_EQ(reader.poll(), at == first ? Positions{before} : Positions{}) << at;
  }
  sequence_is_at(first + 6);
  EXPECT_EQ(reader.poll(), (Positions{first, first + 3, first + 6}));
}

TEST_F(PostgresWholeAppends, EachLeavesItsSpan) {
  append("one");
  EXPECT_EQ(spans(), "") << "one event has no parts";
  append("two", 2);
  EXPECT_EQ(spans(), "2-3 ");
  watch_->value(append_several_sql("thing", {"a", "b"}, 1));
  EXPECT_EQ(spans(), "2-3 ");
  watch_->value(append_several_sql("thing", {"a", "b"}, 3));
  EXPECT_EQ(spans(), "2-3 6-8 9-11 ");
  AppendRequest request;
  request.streams.push_back({StreamKey("thing", "x"), ExpectedVersion::any(), {event()}});
  request.streams.push_back({StreamKey("thing", "y"), ExpectedVersion::any(), {event()}});
  store_->append(request).or_throw();
  EXPECT_EQ(spans(), "2-3 6-8 9-11 12-13 ");
}

// Spans do not overlap: appends of several events take their positions one after the other. Only the taking, and
// appends of one event have nothing to do with it.
TEST_F(PostgresWholeAppends, TakeTheirPositionsOneAfterTheOther) {
  PostgresConnection taking = begin();
  taking.run("SELECT pg_advisory_xact_lock(lock_class('append_spans'), 0)");
  std::future<std::int64_t> waiting = std::async(std::launch::async, [&] { return append("several", 2); });
  wait_until_somebody_waits_for_spans();
  PostgresConnection another = begin();
  EXPECT_EQ(append(another, "one"), 1);
  another.run("COMMIT");
  taking.run("ROLLBACK");
  EXPECT_EQ(waiting.get(), 2);

  PostgresConnection stopped = begin();
  append(stopped, "stopped", 2);
  stopped.value(append_several_sql("thing", {"also"}, 2));
  EXPECT_EQ(append("several", 2), 8) << "it waits for the taking, and not for the transaction";
  stopped.run("ROLLBACK");
  EXPECT_EQ(spans(), "2-3 8-9 ");
}

// --- settled_position() itself, with locks that are taken by hand ----------------------------------------------------

class PostgresSettled : public PostgresOrdering {
 protected:
  static constexpr const char* ask = "SELECT coalesce(settled_position()::text, 'undecided')";

  std::string settled() { return watch_->value(ask); }
  /// Positions 1 to 10, each settled by itself.
  void append_ten() {
    for (int i = 1; i <= 10; ++i) ASSERT_EQ(append("a"), i);
  }
  /// The first lock says that positions are being taken, the second one which.
  static void take_first(PostgresConnection& connection) {
    connection.run("SELECT pg_advisory_xact_lock_shared(lock_class('events'), 0)");
  }
  static void take_second(PostgresConnection& connection, std::int64_t position) {
    connection.run("SELECT pg_advisory_xact_lock_shared(lock_class('events_global_position_seq'), " +
                   std::to_string(position & 0x7FFFFFFF) + ")");
  }
};

// A transaction that ends gives its locks back one by one, and may be seen with the second one alone. It must not stand
// for the second lock of another, which has only its first: counted over all, there are as many as there should be.
TEST_F(PostgresSettled, EachTransactionIsJudgedByItself) {
  append_ten();
  ASSERT_EQ(settled(), "10");
  PostgresConnection ending = begin();
  take_second(ending, 8);
  EXPECT_EQ(settled(), "7");
  PostgresConnection taking = begin();
  take_first(taking);
  EXPECT_EQ(settled(), "undecided");
  PostgresConnection also_ending = begin();
  take_second(also_ending, 9);
  EXPECT_EQ(settled(), "undecided") << "with more second locks than first ones";

  take_second(taking, 5);
  EXPECT_EQ(settled(), "4");
  PostgresConnection also_taking = begin();
  take_first(also_taking);
  EXPECT_EQ(settled(), "undecided") << "though others have both";
  ending.run("ROLLBACK");
  also_ending.run("ROLLBACK");
  EXPECT_EQ(settled(), "undecided");
  also_taking.run("ROLLBACK");
  EXPECT_EQ(settled(), "4");
  taking.run("ROLLBACK");
  EXPECT_EQ(settled(), "10");
}

// One that appends several times holds the second lock several times: its first position is the lowest one.
TEST_F(PostgresSettled, TheLowestOfATransactionsPositionsCounts) {
  append_ten();
  PostgresConnection taking = begin();
  take_first(taking);
  take_second(taking, 6);
  take_first(taking);
  take_second(taking, 9);
  EXPECT_EQ(settled(), "5");
  taking.run("ROLLBACK");
  EXPECT_EQ(settled(), "10");
}

// Locks that look alike and are another store's, another kind's, or not held yet.
TEST_F(PostgresSettled, OtherLocksDoNotCount) {
  append_ten();
  const PostgresDatabase other;
  PostgresConnection elsewhere("public", other.url());
  elsewhere.run("BEGIN");
  const std::string first = watch_->value("SELECT lock_class('events')");
  const std::string second = watch_->value("SELECT lock_class('events_global_position_seq')");
  elsewhere.run("SELECT pg_advisory_xact_lock_shared(" + first + ", 0)");
  elsewhere.run("SELECT pg_advisory_xact_lock_shared(" + second + ", 3)");
  EXPECT_EQ(settled(), "10");
  // One number of 64 bits instead of two, of which the higher half is the same.
  PostgresConnection one_key = begin();
  one_key.run("SELECT pg_advisory_xact_lock_shared(" + first + "::bigint << 32)");
  one_key.run("SELECT pg_advisory_xact_lock_shared((" + second + "::bigint << 32) + 3)");
  EXPECT_EQ(settled(), "10");
}

// nextval() leaves a number that lies ahead in the sequence's row for a moment, and SELECT would read it. The function
// has to read the sequence as nextval() does, which waits for whoever changes it; and it has to look at the locks after
// that and not before, or it would not see who took a position while it waited.
TEST_F(PostgresSettled, WaitsForTheSequenceAndThenLooksAtTheLocks) {
  append_ten();
  bool exact = false;
  // A transaction gives back the sequence a moment before its other locks: who looks within it may give the smaller
  // answer.
  for (int round = 0; round < 20 && !exact; ++round) {
    PostgresConnection asking = schema_->connect();
    const std::string process = asking.process();
    std::future<std::string> answer;
    PostgresConnection changing = begin();
    const std::int64_t position = append(changing, "b");
    changing.run("ALTER SEQUENCE events_global_position_seq CACHE 1");
    answer = std::async(std::launch::async, [&] { return asking.value(ask); });
    const auto waits = [&] {
      return watch_->value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = " + process +
                           " AND relation = 'events_global_position_seq'::regclass") == "1";
    };
    const auto until = steady_clock::now() + seconds(20);
    bool waited = false;
    while (!waited && steady_clock::now() < until && answer.wait_for(milliseconds(2)) != std::future_status::ready) {
      waited = waits();
    }
    EXPECT_TRUE(waited) << "it read the sequence while another was changing it";
    changing.run("COMMIT");
    const std::string given = answer.get();
    exact = given == std::to_string(position);
    EXPECT_TRUE(exact || given == std::to_string(position - 1)) << given;
  }
  EXPECT_TRUE(exact) << "it looked at the locks before it read the sequence";
}

// The same by what is written there, for what cannot be forced: the lock of a page of memory is nothing that SQL shows.
TEST_F(PostgresSettled, ReadsTheSequenceOnceAndNotBySelect) {
  // Without comments, in one line.
  const std::string source = watch_->value(
      "SELECT lower(regexp_replace(regexp_replace(pg_get_functiondef('settled_position'::regproc), '--[^\n]*', '', "
      "'g'), '[[:space:]]+', ' ', 'g'))");
  const std::size_t sequence = source.find("pg_sequence_last_value(");
  ASSERT_NE(sequence, std::string::npos) << source;
  EXPECT_EQ(source.find("last_value"), source.find("last_value", sequence)) << source;
  EXPECT_EQ(source.find("last_value", sequence + std::string("pg_sequence_last_value").size()), std::string::npos);
  EXPECT_EQ(source.find("from events_global_position_seq"), std::string::npos) << source;
  EXPECT_LT(sequence, source.find("from pg_locks"));
  EXPECT_LT(source.find("from pg_locks"), source.find("max(global_position)"));
  // Each of its statements has a snapshot of its own.
  EXPECT_EQ(watch_->value("SELECT provolatile FROM pg_proc WHERE oid = 'settled_position'::regproc"), "v");
}

// --- The locks of streams, in one order for everybody ----------------------------------------------------------------

// One that has the higher lock while it waits for the lower one would wait in a circle with one that keeps to the
// order.
TEST_F(PostgresOrdering, NobodyHoldsAHigherLockWhileItWaitsForALowerOne) {
  const auto lock_of = [](const std::string& id) {
    return "append_lock('streams', concat_ws(chr(31), 'default', 'thing', '" + id + "'))";
  };
  std::string lower = "p";
  std::string higher = "q";
  if (watch_->value("SELECT " + lock_of(lower) + " < " + lock_of(higher)) != "t") std::swap(lower, higher);
  append(lower);
  append(higher);
  for (const bool writes_lower : {true, false}) {
    SCOPED_TRACE(writes_lower ? "writes the lower one" : "writes the higher one");
    PostgresConnection holder = begin();
    holder.run("SELECT pg_advisory_xact_lock(" + lock_of(lower) + ")");
    AppendRequest request;
    request.streams.push_back({StreamKey("thing", writes_lower ? lower : higher), ExpectedVersion::any(), {event()}});
    request.conditions.push_back({StreamKey("thing", writes_lower ? higher : lower), ExpectedVersion::stream_exists()});
    auto appending = std::async(std::launch::async, [&] { return store_->append(request); });
    const std::string waiting = " FROM pg_locks AS w WHERE w.locktype = 'advisory' AND NOT w.granted";
    bool waits = false;
    const auto until = steady_clock::now() + seconds(20);
    while (!waits && steady_clock::now() < until) waits = watch_->value("SELECT count(*)" + waiting) == "1";
    EXPECT_TRUE(waits);
    // objsubid 1: locks of one number, which are those of streams and commands.
    EXPECT_EQ(watch_->value("SELECT count(*) FROM pg_locks AS h WHERE h.locktype = 'advisory' AND h.granted "
                            "AND h.objsubid = 1 AND h.pid = (SELECT w.pid" +
                            waiting + ")"),
              "0");
    holder.run("ROLLBACK");
    EXPECT_TRUE(appending.get().ok());
  }
}

// The one that has the older transaction appends second. Ordered by transactions, version 2 would come first.
TEST_F(PostgresOrdering, OlderTransactionAppendsSecond) {
  Follower reader = follower();
  PostgresConnection older = begin();
  older.run("SELECT pg_current_xact_id()");
  PostgresConnection younger = begin();
  younger.run("SELECT pg_current_xact_id()");
  const std::int64_t first = append(younger, "same");
  younger.run("COMMIT");
  ASSERT_EQ(reader.poll(), Positions{first}) << "held back by a transaction that has taken no position";
  const std::int64_t second = append(older, "same");
  older.run("COMMIT");
  ASSERT_EQ(reader.poll(), Positions{second});
  EXPECT_EQ(watch_->value("SELECT string_agg(stream_version::text, ',' ORDER BY global_position) FROM events"), "1,2");
  EXPECT_EQ(watch_->value("SELECT (SELECT xmin::text::bigint FROM events WHERE stream_version = 2) < "
                          "(SELECT xmin::text::bigint FROM events WHERE stream_version = 1)"),
            "t")
      << "the transactions were not made in the order that this test is about";
  EXPECT_EQ(reader.faults, "");
}

// --- Transactions that have nothing to do with the store -------------------------------------------------------------

class PostgresStrangers : public PostgresOrdering {
 protected:
  /// Each event is read within a second of its append, for as long as this takes.
  void expect_prompt_reads() {
    Follower reader = follower();
    reader.poll();
    const auto end = steady_clock::now() + lasting(seconds(3), seconds(30));
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

TEST_F(PostgresStrangers, InAnotherDatabase) {
  const PostgresDatabase other;
  PostgresConnection idle("public", other.url());
  idle.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()");
  idle.run("SELECT pg_advisory_xact_lock_shared(" + watch_->value("SELECT lock_class('events')") + ", 0)");
  expect_prompt_reads();
}

TEST_F(PostgresStrangers, InTheSameDatabase) {
  PostgresConnection idle = begin();
  idle.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TEMP TABLE own (a int); INSERT INTO own VALUES (1)");
  idle.run("SELECT pg_current_xact_id(), pg_advisory_xact_lock(1, 0), pg_advisory_xact_lock(1)");
  expect_prompt_reads();
}

// A store in another schema of the same database, and a reader of this one that takes its time.
TEST_F(PostgresStrangers, InAnotherStore) {
  const PostgresSchema other;
  EventStore store = open_postgres(other.url());
  PostgresConnection stopped = other.connect();
  stopped.run("BEGIN");
  append(stopped, "stopped");
  PostgresConnection reading = begin();
  reading.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events");
  expect_prompt_reads();
}

// --- Everything at once ----------------------------------------------------------------------------------------------

/// Writers of all kinds, and what their threads threw.
class Writers {
 public:
  explicit Writers(const PostgresSchema& schema) : schema_(schema) {}

  /// Calls `once` with a number until stop(). Each call's error that is none of the test's making is kept.
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

  static std::string stream(std::mt19937& random) { return "s-" + std::to_string(random() % 40); }

  void through_stele() {
    start([url = schema_.url()] {
      return [store = std::make_shared<EventStore>(open_migrated_postgres(url))](std::mt19937& random) {
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

  /// Stalls between append() and the end of its transaction; one in five then rolls back, one in five is killed.
  void bare() {
    start([this] {
      return [this, connection = std::make_shared<PostgresConnection>(schema_.connect())](std::mt19937& random) {
        connection->run("BEGIN");
        connection->run(append_sql("thing", stream(random), static_cast<int>(1 + random() % 3)));
        std::this_thread::sleep_for(milliseconds(random() % 15));
        const std::size_t fate = random() % 5;
        ++fates[std::min<std::size_t>(fate, 2)];
        if (fate == 0) {
          connection->run("ROLLBACK");
        } else if (fate == 1) {
          connection->execute("SELECT pg_terminate_backend(pg_backend_pid())");
          *connection = schema_.connect();
        } else {
          connection->run("COMMIT");
        }
      };
    });
  }

  std::string errors;
  std::atomic<int> fates[3]{};

 private:
  const PostgresSchema& schema_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST_F(PostgresOrdering, WritersOfAllKindsAndReaders) {
  constexpr int readers = 4;
  std::vector<std::unique_ptr<Follower>> followers;
  for (int i = 0; i < readers; ++i) followers.push_back(std::make_unique<Follower>(schema_->url("connections=2")));
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
  std::this_thread::sleep_for(lasting(seconds(5), seconds(60)));
  writers.stop();
  stop = true;
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(writers.errors, "");
  for (const std::atomic<int>& fate : writers.fates) EXPECT_GT(fate, 0) << "not all kinds of writers were at work";
  const Positions all = committed();
  EXPECT_GT(all.size(), 100U);
  std::int64_t holes = 0;
  for (std::size_t i = 1; i < all.size(); ++i) holes += all[i] - all[i - 1] - 1;
  EXPECT_GT(holes, 0) << "nobody rolled back with a position";
  for (int i = 0; i < readers; ++i) {
    EXPECT_EQ(errors[i], "");
    EXPECT_GT(followers[i]->seen().size(), all.size() / 10) << "this reader has not kept up, and so has tested nothing";
    followers[i]->poll();
    EXPECT_EQ(followers[i]->faults.substr(0, 500), "");
    EXPECT_TRUE(followers[i]->seen() == all)
        << followers[i]->seen().size() << " of " << all.size() << " events were read";
  }
}

// --- Dump and restore ------------------------------------------------------------------------------------------------

class PostgresDump : public PostgresOrdering {
 protected:
  void SetUp() override {
    PostgresOrdering::SetUp();
    if (IsSkipped()) return;
    dump_ = postgres_program("pg_dump");
    psql_ = postgres_program("psql");
    if (dump_.empty() || psql_.empty()) GTEST_SKIP() << "pg_dump and psql are not installed";
    file_ = std::filesystem::temp_directory_path() / (schema_->name() + ".sql");
    NewEvent with_all = event();
    with_all.attributes = {{"room", "blue"}, {"run", "7"}};
    with_all.idempotency_key = "once";
    AppendRequest request;
    request.streams.push_back({StreamKey("thing", "dumped"), ExpectedVersion::any(), {with_all, event()}});
    request.command.emplace();
    request.command->key = {std::string(default_tenant), "app", "r-1"};
    request.command->type = "do";
    store_->append(request).or_throw();
    PostgresConnection lost = begin();
    append(lost, "lost", 5);
    append("after");
    lost.run("ROLLBACK");
  }
  void TearDown() override {
    std::filesystem::remove(file_);
    PostgresOrdering::TearDown();
  }

  void dump(const std::string& options) {
    ASSERT_EQ(std::system((dump_ + " --dbname='" + postgres_url() + "' --schema=" + schema_->name() +
                           " --file=" + file_.string() + " " + options)
                              .c_str()),
              0);
    std::ifstream in(file_);
    for (std::string line; std::getline(in, line);) {
      ASSERT_EQ(line.find("session_replication_role"), std::string::npos);
      ASSERT_EQ(line.find("DISABLE TRIGGER"), std::string::npos);
    }
  }
  void restore(const std::string& url) {
    ASSERT_EQ(std::system((psql_ + " --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null --dbname='" + url +
                           "' --file=" + file_.string())
                              .c_str()),
              0);
  }
  /// A reader that had read the old store goes on in the new one.
  void expect_that_readers_go_on(const std::string& url) {
    Follower old_reader = follower();
    old_reader.poll();
    EventStore restored = open_migrated_postgres(url);
    Positions all;
    for (const RecordedEvent& found : restored.read_log()) all.push_back(found.position.value());
    EXPECT_EQ(all, old_reader.seen());
    const auto again = [&](const std::string& id) {
      return restored.append(StreamKey("thing", id), ExpectedVersion::any(), {event()}).or_throw();
    };
    const Positions fresh{again("dumped").last_position().value(), again("new").last_position().value()};
    EXPECT_GT(fresh.front(), old_reader.last());
    Positions found;
    for (const RecordedEvent& each : restored.read_log({.after = Position(old_reader.last())})) {
      found.push_back(each.position.value());
    }
    EXPECT_EQ(found, fresh);
    EXPECT_EQ(restored.stream_version(StreamKey("thing", "dumped")), Version(3));
    EXPECT_TRUE(restored.is_command_processed(CommandKey{std::string(default_tenant), "app", "r-1"}));
    const VerifyReport report = restored.verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
  }

  std::string dump_;
  std::string psql_;
  std::filesystem::path file_;
};

TEST_F(PostgresDump, RestoredIntoAFreshDatabase) {
  dump("");
  const PostgresDatabase fresh;
  restore(fresh.url());
  PostgresConnection bare(schema_->name(), fresh.url());
  expect_that_readers_go_on(postgres_url_in(fresh.name(), schema_->url()));
  // What makes the log append-only came along.
  EXPECT_NE(bare.execute("SET session_replication_role = replica; DELETE FROM events"), "");
}

}  // namespace
}  // namespace stele::testing
