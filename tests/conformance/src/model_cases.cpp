// Random calls, the same to the harness's storage and to the memory driver, which is simple enough to be believed: the
// answers and the contents have to be the same.
#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <random>

#include "stele/url.h"
#include "support.h"

namespace stele::testing {
namespace {

/// The same numbers from a seed on every platform, which the standard's distributions do not promise.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// 0 … count - 1.
  int below(int count) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(count)); }
  /// Once in `count`.
  bool one_in(int count) { return below(count) == 0; }
  template <class T>
  const T& of(const std::vector<T>& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

/// Runs `body` with a seed for each round, and says with which seed to repeat a round that failed.
void with_seeds(int rounds, const std::function<void(Random&, int round)>& body) {
  const std::uint64_t first = seed();
  ::testing::Test::RecordProperty("seed", std::to_string(first));
  SCOPED_TRACE("repeat with STELE_SEED=" + std::to_string(first));
  for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Random random(first + static_cast<std::uint64_t>(round));
    try {
      body(random, round);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

EventStore model_store() {
  Registry registry;
  register_memory_driver(registry);
  return EventStore(registry.open(Url::parse("memory:")));
}

// --- Making requests

/// Requests that often meet: few streams, few request ids, few event ids.
class Requests {
 public:
  Requests(Random& random, int round) : random_(random), round_("r" + std::to_string(round) + " ") {}

  StreamKey stream(const std::string& tenant) {
    static const std::vector<std::string> types = {"order", "Order"};
    static const std::vector<std::string> ids = {"a", "b", "A", "ä", "b "};
    return {tenant, random_.of(types), round_ + random_.of(ids)};
  }

  std::string tenant() { return round_ + (random_.one_in(4) ? "other" : "main"); }

  CommandKey command_key(const std::string& tenant) {
    return {tenant, random_.one_in(3) ? "shop" : "api", std::to_string(random_.below(40))};
  }

  /// A version 4 id that other rounds do not have.
  Uuid id(std::uint8_t kind, int count) {
    Uuid::Bytes bytes = uuid(kind).bytes();
    const int number = random_.below(count);
    bytes[0] = static_cast<std::uint8_t>(round_[1] * 31 + round_[round_.size() - 2]);
    bytes[1] = static_cast<std::uint8_t>(number / 256);
    bytes[2] = static_cast<std::uint8_t>(number % 256);
    return Uuid(bytes);
  }

  Json document() {
    static const std::vector<std::string> texts = {"{}",
                                                   "[]",
                                                   R"({"n":1})",
                                                   R"({"n":1.0})",
                                                   R"({"text":"é😀\n"})",
                                                   R"([9007199254740993,0.1000000000000000000001])"};
    return json(random_.of(texts));
  }
  Json object() { return json(R"({"k":)" + std::to_string(random_.below(5)) + "}"); }

  NewEvent event() {
    static const std::vector<std::string> types = {"placed", "paid", "Paid", "bezahlt für"};
    NewEvent made;
    made.type = random_.of(types);
    made.data = document();
    if (random_.one_in(2)) made.event_id = id(1, 400);
    if (random_.one_in(2)) made.occurred_at = Timestamp::from_micros(random_.below(1000) - 500);
    if (random_.one_in(4)) made.idempotency_key = "key " + std::to_string(random_.below(60));
    if (random_.one_in(4)) made.valid_from = Timestamp::from_micros(random_.below(100));
    if (random_.one_in(4)) made.valid_to = Timestamp::from_micros(100 + random_.below(100));
    if (random_.one_in(4))
      made.actor = Actor{static_cast<ActorType>(random_.below(4)), random_.one_in(2) ? "me" : "Me"};
    if (random_.one_in(4)) made.source = random_.one_in(2) ? "shop" : "till";
    if (random_.one_in(4)) made.channel = static_cast<Channel>(random_.below(5));
    if (random_.one_in(4)) made.causation_id = id(2, 3);
    if (random_.one_in(4)) made.correlation_id = id(3, 3);
    if (random_.one_in(4)) made.redaction_level = static_cast<RedactionLevel>(random_.below(3));
    if (random_.one_in(4)) made.event_version = 1 + random_.below(3);
    if (random_.one_in(6)) made.metadata = object();
    if (random_.one_in(6)) made.policy_context = object();
    if (random_.one_in(6)) made.model_context = object();
    if (random_.one_in(6)) made.display = object();
    made.contains_secrets = random_.one_in(6);
    for (int n = random_.one_in(2) ? 0 : random_.below(3); n > 0; --n) {
      made.attributes[random_.one_in(2) ? "room" : "mission"] = std::to_string(random_.below(3));
    }
    return made;
  }

  /// `version_of` makes it likely that the expectation holds.
  ExpectedVersion expectation(const StreamKey& stream, const std::function<Version(const StreamKey&)>& version_of) {
    switch (random_.below(8)) {
      case 0: return ExpectedVersion::no_stream();
      case 1: return ExpectedVersion::stream_exists();
      case 2: return ExpectedVersion::exactly(random_.below(10));
      case 3:
      case 4: return ExpectedVersion::exactly(version_of(stream));
      default: return ExpectedVersion::any();
    }
  }

  AppendRequest append(const std::function<Version(const StreamKey&)>& version_of) {
    AppendRequest made;
    const std::string tenant = this->tenant();
    for (int streams = random_.one_in(3) ? 2 + random_.below(2) : 1; streams > 0; --streams) {
      const StreamKey key = stream(tenant);
      const auto is_key = [&](const StreamAppend& other) { return other.stream == key; };
      if (std::any_of(made.streams.begin(), made.streams.end(), is_key)) continue;
      std::vector<NewEvent> list;
      for (int events = random_.below(4); events > 0; --events) list.push_back(event());
      made.streams.push_back({key, expectation(key, version_of), std::move(list)});
    }
    if (random_.one_in(5)) {
      const StreamKey key = stream(tenant);  // Sometimes one that is appended to as well, which has to be refused.
      made.conditions.push_back({key, expectation(key, version_of)});
    }
    if (random_.one_in(2)) {
      Command command;
      command.key = command_key(tenant);
      command.type = random_.one_in(2) ? "place" : "pay";
      if (random_.one_in(4)) command.command_id = id(4, 40);
      if (random_.one_in(4)) command.stream = stream(tenant);
      if (random_.one_in(4)) command.actor = Actor{ActorType::agent, "a-1"};
      if (random_.one_in(4)) command.channel = static_cast<Channel>(random_.below(5));
      if (random_.one_in(4)) command.data = document();
      made.command = std::move(command);
    }
    return made;
  }

  /// Something that may or may not make it another request.
  void change(AppendRequest& request) {
    StreamAppend& stream =
        request.streams[static_cast<std::size_t>(random_.below(static_cast<int>(request.streams.size())))];
    switch (random_.below(6)) {
      case 0: stream.expected = ExpectedVersion::exactly(random_.below(10)); break;
      case 1: stream.expected = ExpectedVersion::no_stream(); break;
      case 2:
        if (!stream.events.empty()) stream.events.pop_back();
        break;
      case 3: stream.events.push_back(event()); break;
      case 4:
        if (!stream.events.empty()) stream.events.front().data = document();
        break;
      default: std::reverse(request.streams.begin(), request.streams.end());
    }
  }

  LogFilter filter() {
    LogFilter made;
    if (random_.one_in(3)) made.tenant = tenant();
    if (random_.one_in(5)) made.stream_types = {"order", "no such"};
    if (random_.one_in(5)) made.event_types = {"paid", "bezahlt für"};
    if (random_.one_in(6)) made.source = "shop";
    if (random_.one_in(6)) made.actor_type = static_cast<ActorType>(random_.below(4));
    if (random_.one_in(6)) made.actor_id = "me";
    if (random_.one_in(6)) made.correlation_id = id(3, 3);
    if (random_.one_in(6)) made.causation_id = id(2, 3);
    if (random_.one_in(6)) made.occurred_from = Timestamp::from_micros(random_.below(1000) - 500);
    if (random_.one_in(6)) made.occurred_until = Timestamp::from_micros(random_.below(1000) - 500);
    if (random_.one_in(6)) made.valid_at = Timestamp::from_micros(random_.below(200));
    if (random_.one_in(5)) made.attributes.emplace_back("room", std::to_string(random_.below(3)));
    if (random_.one_in(8)) made.attributes.emplace_back("mission", std::to_string(random_.below(3)));
    return made;
  }

 private:
  Random& random_;
  std::string round_;
};

// --- Comparing what is not decided by the request

/// Positions, recorded_at and what append makes are each store's own. Ids that a request gives are version 4, and the
/// times that it gives are near the epoch.
std::string text(const RecordedEvent& event) {
  RecordedEvent own = event;
  own.position = Position(0);
  own.recorded_at = Timestamp();
  if (own.occurred_at > Timestamp::from_micros(1'000'000)) own.occurred_at = Timestamp();
  if (own.event_id.version() == 7) own.event_id = Uuid();
  if (own.causation_id && own.causation_id->version() == 7) own.causation_id = Uuid();
  return describe(own);
}

std::string text(const std::vector<StreamOutcome>& outcome) {
  std::string text;
  for (const StreamOutcome& stream : outcome) {
    text += " " + stream.stream.tenant + ":" + stream.stream.to_string() + " " +
            std::to_string(stream.first_version.value()) + ".." + std::to_string(stream.last_version.value());
    // No events, no positions.
    if ((stream.first_position == Position(0)) != (stream.first_version > stream.last_version))
      text += " wrong positions";
  }
  return text;
}

std::string text(const AppendResult& result) {
  std::string made(to_string(result.status));
  made += text(result.streams);
  if (result.conflict) {
    made += " " + result.conflict->stream.to_string() + " expected " + result.conflict->expected.to_string() +
            " actual " + std::to_string(result.conflict->actual.value());
  }
  const bool explained = result.status >= AppendStatus::request_id_reused;
  return explained == result.detail.empty() ? made + " with a wrong detail: " + result.detail : made;
}

std::string text(const CommandRecord& record) {
  CommandRecord own = record;
  own.recorded_at = Timestamp();
  own.outcome.clear();
  if (own.command_id.version() == 7) own.command_id = Uuid();
  return describe(own) + text(record.outcome);
}

std::string text(const StreamInfo& info) {
  return info.stream.tenant + ":" + info.stream.to_string() + " at " + std::to_string(info.version.value());
}

template <class T>
std::string text(const std::optional<T>& value) {
  return value ? text(*value) : "none";
}

template <class T>
requires(!std::is_same_v<T, StreamOutcome>) std::string text(const std::vector<T>& list) {
  std::string made;
  for (const T& one : list) made += text(one) + "\n";
  return made;
}

std::string text(const StoreStats& stats) {
  std::string made =
      std::to_string(stats.events) + " " + std::to_string(stats.streams) + " " + std::to_string(stats.commands);
  for (const auto& [type, count] : stats.events_by_type) made += " " + type + ":" + std::to_string(count);
  return made;
}

// --- The two stores

class Comparison {
 public:
  Comparison(Random& random, EventStore& store, EventStore& model, int round)
      : random_(random), store_(store), model_(model), make_(random, round) {}

  void step() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: return append(make_.append(versions_));
      case 5:
      case 6: return repeat();
      case 7: return append_all();
      case 8: return record_command();
      case 9:
      case 10: return read_stream();
      case 11:
      case 12: return read_log();
      case 13: return list_streams();
      case 14: return look_up();
      default: return compare("stats", [](EventStore& store) { return text(store.stats()); });
    }
  }

  void everything() {
    compare("the whole log", [](EventStore& store) { return text(read_all(store.read_log())); });
    compare("all tenants", [](EventStore& store) {
      std::string names;
      for (const std::string& tenant : store.driver().list_tenants()) names += tenant + "\n";
      return names;
    });
    compare("stats", [](EventStore& store) { return text(store.stats()); });
    // What appends answered is what is there.
    for (const StreamOutcome& outcome : answered_) {
      StreamReadOptions options;
      options.from = outcome.first_version;
      options.to = outcome.last_version;
      const std::vector<RecordedEvent> stored = stream_events(store_, outcome.stream, options);
      ASSERT_EQ(versions(stored), numbers(outcome.first_version.value(), outcome.last_version.value()));
      EXPECT_EQ(stored.front().position, outcome.first_position);
      EXPECT_EQ(stored.back().position, outcome.last_position);
    }
  }

 private:
  void compare(const std::string& what, const std::function<std::string(EventStore&)>& call) {
    const auto answer = [&](EventStore& store) {
      try {
        return call(store);
      } catch (const Error& error) {
        return "threw " + std::string(to_string(error.code()));
      }
    };
    const std::string wanted = answer(model_);
    EXPECT_EQ(answer(store_), wanted) << what;
  }

  static std::string name(const AppendRequest& request) {
    std::string made = "append";
    for (const StreamAppend& stream : request.streams) {
      made += " " + stream.stream.to_string() + " expecting " + stream.expected.to_string() + " with " +
              std::to_string(stream.events.size());
    }
    for (const StreamCondition& stream : request.conditions) {
      made += " if " + stream.stream.to_string() + " is " + stream.expected.to_string();
    }
    return request.command ? made + " under " + request.command->key.source + ":" + request.command->key.request_id
                           : made;
  }

  void note(const AppendResult& result) {
    if (result.status != AppendStatus::appended) return;
    for (const StreamOutcome& outcome : result.streams) {
      if (outcome.first_version <= outcome.last_version) answered_.push_back(outcome);
    }
  }

  void append(AppendRequest request) {
    compare(name(request), [&](EventStore& store) {
      const AppendResult result = store.append(request);
      if (&store == &store_) note(result);
      return text(result);
    });
    past_.push_back(std::move(request));
  }

  void repeat() {
    if (past_.empty()) return;
    AppendRequest request = random_.of(past_);
    if (random_.one_in(3)) make_.change(request);
    append(std::move(request));
  }

  void append_all() {
    std::vector<AppendRequest> requests;
    for (int count = 2 + random_.below(5); count > 0; --count) {
      requests.push_back(!past_.empty() && random_.one_in(4) ? random_.of(past_) : make_.append(versions_));
    }
    // One that is refused refuses all of them; leave that to the single ones.
    std::erase_if(requests, [](const AppendRequest& request) {
      try {
        EventStore::validate(request);
        return false;
      } catch (const Error&) {
        return true;
      }
    });
    std::string names;
    for (const AppendRequest& request : requests) names += name(request) + "; ";
    compare("all of " + names, [&](EventStore& store) {
      const std::vector<AppendResult> results = store.append_all(requests);
      if (&store == &store_) {
        for (const AppendResult& result : results) note(result);
      }
      return text(results);
    });
    past_.insert(past_.end(), requests.begin(), requests.end());
  }

  void record_command() {
    Command command;
    const std::string tenant = make_.tenant();
    command.key = make_.command_key(tenant);
    command.type = "nothing";
    if (random_.one_in(2)) command.stream = make_.stream(tenant);
    compare("record " + command.key.request_id, [&](EventStore& store) { return text(store.record_command(command)); });
  }

  void read_stream() {
    const StreamKey key = make_.stream(make_.tenant());
    StreamReadOptions options;
    if (random_.one_in(2)) options.direction = Direction::backwards;
    if (random_.one_in(2)) options.from = Version(1 + random_.below(8));
    if (random_.one_in(3)) options.to = Version(random_.below(12));
    if (random_.one_in(3)) options.limit = static_cast<std::uint64_t>(random_.below(6));
    if (random_.one_in(4)) options.valid_at = Timestamp::from_micros(random_.below(200));
    compare("read " + key.to_string(), [&](EventStore& store) { return text(stream_events(store, key, options)); });
  }

  void read_log() {
    LogReadOptions options;
    if (random_.one_in(2)) options.direction = Direction::backwards;
    if (random_.one_in(3)) options.limit = static_cast<std::uint64_t>(random_.below(20));
    options.filter = make_.filter();
    // Positions differ from store to store: the bounds are the same two events.
    const int after = random_.one_in(2) ? random_.below(1000) : -1;
    const int before = random_.one_in(2) ? random_.below(1000) : -1;
    compare("read the log", [&](EventStore& store) {
      LogReadOptions own = options;
      if (after >= 0 || before >= 0) {
        const std::vector<std::int64_t> all = positions(log_events(store));
        if (!all.empty() && after >= 0) own.after = Position(all[static_cast<std::size_t>(after) % all.size()]);
        if (!all.empty() && before >= 0) own.before = Position(all[static_cast<std::size_t>(before) % all.size()]);
      }
      return text(log_events(store, own));
    });
  }

  void list_streams() {
    StreamListOptions options;
    options.tenant = make_.tenant();
    if (random_.one_in(3)) options.type = "order";
    if (random_.one_in(3)) options.id_prefix = make_.stream(options.tenant).id;
    if (random_.one_in(3)) options.after = make_.stream(options.tenant);
    if (random_.one_in(3)) options.limit = static_cast<std::size_t>(1 + random_.below(4));
    compare("list streams", [&](EventStore& store) { return text(store.list_streams(options)); });
  }

  void look_up() {
    const std::string tenant = make_.tenant();
    const StreamKey key = make_.stream(tenant);
    const CommandKey command = make_.command_key(tenant);
    const Uuid event_id = make_.id(1, 400);
    const Uuid command_id = make_.id(4, 40);
    compare("info", [&](EventStore& store) { return text(store.stream_info(key)); });
    compare("version", [&](EventStore& store) { return std::to_string(store.stream_version(key).value()); });
    compare("event", [&](EventStore& store) { return text(store.find_event(event_id)); });
    compare("command by key", [&](EventStore& store) { return text(store.find_command(command)); });
    compare("command by id", [&](EventStore& store) { return text(store.find_command(command_id)); });
    compare("processed", [&](EventStore& store) { return std::to_string(store.is_command_processed(command)); });
    compare("commands", [&](EventStore& store) { return text(store.list_commands(key, 5)); });
  }

  Random& random_;
  EventStore& store_;
  EventStore& model_;
  Requests make_;
  std::function<Version(const StreamKey&)> versions_ = [this](const StreamKey& key) {
    return model_.stream_version(key);
  };
  std::vector<AppendRequest> past_;
  std::vector<StreamOutcome> answered_;
};

void random_calls_match_the_model(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore model = model_store();
  with_seeds(rounds(6, 2), [&](Random& random, int round) {
    // Rounds share the stores: their tenants and ids are their own, their places in the log are not.
    Comparison comparison(random, store, model, round);
    for (int step = 0; step < 300 && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      comparison.step();
    }
    if (!::testing::Test::HasFailure()) comparison.everything();
  });
  const VerifyReport report = store.verify();
  for (const Violation& violation : report.violations) {
    ADD_FAILURE() << violation.guarantee << " " << violation.where << ": " << violation.what;
  }
}

// --- Writers at once

// Whatever the threads were answered has to be what they would have been answered one after the other, in the log's
// order.
void racing_appends_have_an_order_that_explains_them(Harness& harness) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  with_seeds(rounds(6, 2), [&](Random& random, int round) {
    constexpr int threads = 6;
    const int each = rounds(40, 15);
    struct Done {
      AppendRequest request;
      AppendResult result;
    };
    std::mutex mutex;
    std::vector<Done> done;
    std::vector<std::uint64_t> seeds;
    for (int i = 0; i < threads; ++i) seeds.push_back(static_cast<std::uint64_t>(random.below(1 << 30)));
    in_threads(threads, [&](int i) {
      EventStore& store = i % 2 == 0 ? first : second;
      Random own(seeds[static_cast<std::size_t>(i)]);
      Requests make(own, round);
      const auto version_of = [&](const StreamKey& key) { return store.stream_version(key); };
      for (int n = 0; n < each; ++n) {
        AppendRequest request = make.append(version_of);
        try {
          EventStore::validate(request);
        } catch (const Error&) {
          continue;
        }
        AppendResult result = store.append(request);
        if (result.conflict) {
          EXPECT_FALSE(result.conflict->expected.holds_for(result.conflict->actual)) << describe(result);
        }
        const std::lock_guard lock(mutex);
        done.push_back({std::move(request), std::move(result)});
      }
    });
    std::erase_if(done, [](const Done& one) {
      return one.result.status != AppendStatus::appended || one.result.last_position() == Position(0);
    });
    std::sort(done.begin(), done.end(),
              [](const Done& a, const Done& b) { return a.result.last_position() < b.result.last_position(); });
    EventStore model = model_store();
    for (const Done& one : done) {
      EXPECT_EQ(text(one.result), text(model.append(one.request)))
          << "at position " << one.result.last_position().value();
    }
    // The streams hold what was answered to be in them, and nothing else.
    for (const std::string& tenant : model.driver().list_tenants()) {
      StreamListOptions of_tenant;
      of_tenant.tenant = tenant;
      const std::vector<StreamInfo> streams = model.list_streams(of_tenant);
      EXPECT_EQ(text(first.list_streams(of_tenant)), text(streams));
      for (const StreamInfo& info : streams) {
        EXPECT_EQ(text(stream_events(first, info.stream)), text(stream_events(model, info.stream)));
      }
    }
  });
  EXPECT_TRUE(first.verify().ok());
}

// --- Reading

/// The part of `all` that these bounds leave; `number` tells an event's version or position.
template <class Number>
std::vector<std::string> slice(const std::vector<RecordedEvent>& all, Number number, std::int64_t first,
                               std::int64_t last, Direction direction, std::optional<std::uint64_t> limit) {
  std::vector<std::string> list;
  for (const RecordedEvent& event : all) {
    if (number(event) >= first && number(event) <= last) list.push_back(describe(event));
  }
  if (direction == Direction::backwards) std::reverse(list.begin(), list.end());
  if (limit && list.size() > *limit) list.resize(*limit);
  return list;
}

// The model shares the paging of core; this case does not.
void random_reads_are_slices_of_the_whole(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 40; ++i) {
    AppendRequest append = request(thing("even"), ExpectedVersion::any(), events(5, 10 * i));
    append.streams.push_back({thing("odd"), ExpectedVersion::any(), events(4, 10 * i + 5)});
    ASSERT_TRUE(store.append(append).ok());
  }
  const std::vector<RecordedEvent> log = log_events(store);
  ASSERT_EQ(log.size(), 360u);
  std::vector<RecordedEvent> stream;
  for (const RecordedEvent& event : log) {
    if (event.stream == thing("even")) stream.push_back(event);
  }
  const std::int64_t last = log.back().position.value();
  with_seeds(rounds(20, 5), [&](Random& random, int) {
    for (int n = 0; n < 20 && !::testing::Test::HasFailure(); ++n) {
      const Direction direction = random.one_in(2) ? Direction::forwards : Direction::backwards;
      std::optional<std::uint64_t> limit;
      if (random.one_in(2)) limit = static_cast<std::uint64_t>(random.below(400));
      StreamReadOptions options;
      options.direction = direction;
      options.limit = limit;
      options.from = Version(1 + random.below(220));
      options.to = Version(random.below(220));
      EXPECT_EQ(describe(stream_events(store, thing("even"), options)),
                slice(
                    stream, [](const RecordedEvent& event) { return event.version.value(); }, options.from.value(),
                    options.to->value(), direction, limit))
          << "versions " << options.from.value() << " to " << options.to->value() << ", " << limit.value_or(0);
      LogReadOptions of_log;
      of_log.direction = direction;
      of_log.limit = limit;
      of_log.after = Position(random.below(static_cast<int>(std::min<std::int64_t>(last, 1'000'000)) + 10));
      of_log.before = Position(random.below(static_cast<int>(std::min<std::int64_t>(last, 1'000'000)) + 10));
      EXPECT_EQ(describe(log_events(store, of_log)),
                slice(
                    log, [](const RecordedEvent& event) { return event.position.value(); }, of_log.after.value() + 1,
                    of_log.before->value() - 1, direction, limit))
          << "between " << of_log.after.value() << " and " << of_log.before->value() << ", " << limit.value_or(0);
    }
  });
}

// --- Documents

/// Random JSON, spelled in random ways.
class Documents {
 public:
  explicit Documents(Random& random) : random_(random) {}

  std::string object(int depth) {
    std::string text = "{";
    for (int members = random_.below(6), n = 0; n < members; ++n) {
      // A number makes the name unlike the others however it is spelled.
      const std::string name = string(std::to_string(++members_) + " ");
      text += (n ? "," : "") + space() + name + space() + ":" + space() + value(depth - 1);
    }
    return text + space() + "}";
  }

  std::string array(int depth) {
    std::string text = "[";
    for (int elements = random_.below(6), n = 0; n < elements; ++n) text += (n ? "," : "") + space() + value(depth - 1);
    return text + space() + "]";
  }

 private:
  std::string space() {
    static const std::vector<std::string> spaces = {"", "", "", " ", "\n", "\t \r\n"};
    return random_.of(spaces);
  }

  std::string value(int depth) {
    switch (random_.below(depth > 0 ? 7 : 5)) {
      case 0: return "null";
      case 1: return random_.one_in(2) ? "true" : "false";
      case 2: return string("");
      case 3:
      case 4: return number();
      case 5: return array(depth);
      default: return object(depth);
    }
  }

  std::string digits(int count) {
    std::string text;
    for (; count > 0; --count) text += static_cast<char>('0' + random_.below(10));
    return text;
  }

  std::string number() {
    std::string text = random_.one_in(3) ? "-" : "";
    text += random_.one_in(3)
                ? "0"
                : static_cast<char>('1' + random_.below(9)) + digits(random_.below(random_.one_in(4) ? 40 : 18));
    if (random_.one_in(2)) text += "." + digits(1 + random_.below(random_.one_in(4) ? 60 : 8));
    if (random_.one_in(4)) {
      static const std::vector<std::string> exponents = {"e", "E", "e+", "E-", "e-"};
      text += random_.of(exponents) + std::to_string(random_.below(200));
    }
    return text;
  }

  std::string character() {
    static const std::vector<std::string> special = {R"(\")", R"(\\)", R"(\/)",     R"(\b)",
                                                     R"(\f)", R"(\n)", R"(\r)",     R"(\t)",
                                                     "'",     "/",     R"(\u0001)", R"(\ud83d\ude00)"};
    if (random_.one_in(4)) return random_.of(special);
    static const std::vector<std::pair<int, int>> ranges = {
        {0x61, 0x7a}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    const auto& [low, high] = random_.of(ranges);
    const int code = low + random_.below(high - low + 1);
    const auto byte = [](int bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    if (code < 0x80) return {byte(code)};
    if (code < 0x800) return {byte(0xc0 | code >> 6), byte(0x80 | (code & 0x3f))};
    if (code < 0x10000) {
      if (random_.one_in(3)) {
        char escape[8];
        std::snprintf(escape, sizeof escape, random_.one_in(2) ? "\\u%04x" : "\\u%04X", static_cast<unsigned>(code));
        return escape;
      }
      return {byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
    }
    return {byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 0x3f)), byte(0x80 | (code >> 6 & 0x3f)),
            byte(0x80 | (code & 0x3f))};
  }

  std::string string(const std::string& beginning) {
    std::string text = "\"" + beginning;
    for (int count = random_.below(12); count > 0; --count) text += character();
    return text + "\"";
  }

  Random& random_;
  int members_ = 0;
};

void random_documents_come_back(Harness& harness) {
  EventStore store = open_store(harness);
  with_seeds(rounds(20, 4), [&](Random& random, int round) {
    Documents documents(random);
    std::vector<NewEvent> given;
    for (int n = 0; n < 50; ++n) {
      NewEvent made = event("random", random.one_in(2) ? documents.object(5) : documents.array(5));
      if (random.one_in(3)) made.metadata = json(documents.object(3));
      if (random.one_in(3)) made.display = json(documents.object(3));
      given.push_back(std::move(made));
    }
    const StreamKey stream = thing("documents-" + std::to_string(round));
    ASSERT_TRUE(store.append(stream, ExpectedVersion::no_stream(), given).ok());
    const std::vector<RecordedEvent> stored = stream_events(store, stream);
    ASSERT_EQ(stored.size(), given.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      SCOPED_TRACE(given[i].data.text());
      expect_stored(given[i], stored[i]);
      EXPECT_NO_THROW(json(stored[i].data.text()));
    }
  });
}

constexpr Case all_model_cases[] = {
    {"API", "random_calls_match_the_model", random_calls_match_the_model},
    {"G3", "racing_appends_have_an_order_that_explains_them", racing_appends_have_an_order_that_explains_them},
    {"API", "random_reads_are_slices_of_the_whole", random_reads_are_slices_of_the_whole},
    {"G11", "random_documents_come_back", random_documents_come_back},
};

}  // namespace

std::span<const Case> model_cases() {
  return all_model_cases;
}

}  // namespace stele::testing
