// Personal data: encrypted before it reaches the database, readable with its keys only, and by nobody once forgotten.
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "stele/aggregate.h"
#include "stele/encryption.h"
#include "stele/key_provider.h"
#include "stele/projection.h"
#include "stele/subscription.h"
#include "stele/trace.h"
#include "support.h"

namespace stele::testing {
namespace {

constexpr std::string_view gone = R"({"$unreadable":"key_destroyed"})";
const std::string own{default_tenant};

/// Master keys of these lines.
std::shared_ptr<KeyProvider> provider_of(const std::string& lines) {
  constexpr const char* variable = "STELE_CONFORMANCE_MASTER_KEYS";
  ::setenv(variable, lines.c_str(), 1);
  std::shared_ptr<KeyProvider> provider = environment_key_provider(variable);
  ::unsetenv(variable);
  return provider;
}

std::shared_ptr<KeyProvider> new_provider() {
  return provider_of(new_master_key_line("first"));
}

EventStore open_with(Harness& harness, std::shared_ptr<KeyProvider> keys) {
  return EventStore(harness.open(), {.keys = std::move(keys)});
}

NewEvent personal(const std::string& subject, const std::string& data, std::vector<std::string> places = {}) {
  NewEvent made = event("registered", data);
  made.personal = PersonalData{subject, std::move(places)};
  return made;
}

constexpr const char* erika = R"({"name":"Erika","amount":12345678901234567890.10,"tags":["a","b"]})";

Json only_data(EventStore& store, const StreamKey& stream) {
  const std::vector<RecordedEvent> all = stream_events(store, stream);
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? Json() : all.front().data;
}

std::string text_of(const Json& data) {
  return data.canonical();
}

void only_who_has_the_keys_can_read(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  store.append(thing("all"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  store.append(thing("part"), ExpectedVersion::any(), {personal("erika", erika, {"/name", "/tags/*", "/missing"})})
      .or_throw();
  for (const char* id : {"all", "part"}) {
    EXPECT_EQ(text_of(only_data(store, thing(id))), text_of(json(erika)));
    const RecordedEvent seen = stream_events(store, thing(id)).at(0);
    EXPECT_EQ(text_of(store.find_event(seen.event_id).value().data), text_of(json(erika)));
    EXPECT_EQ(seen.attributes.count("stele.key"), 1u);
    EventStore without = open_store(harness);
    for (EventStore* blind : {&without, &store}) {
      const RecordedEvent stored = stream_events(*blind, thing(id), {.as_stored = true}).at(0);
      EXPECT_EQ(stored.data.text().find("Erika"), std::string::npos);
      EXPECT_NE(stored.data.text().find("$encrypted"), std::string::npos);
      EXPECT_EQ(stored.data.text().find("1234567") != std::string::npos, id == std::string("part"));
    }
  }
  LogReadOptions of_key;
  of_key.filter.attributes = {{"stele.key", store.list_subject_keys().at(0).key_id.to_string()}};
  EXPECT_EQ(log_events(store, of_key).size(), 2u);
}

void without_keys_nothing_is_written_in_the_clear(Harness& harness) {
  EventStore store = open_store(harness);
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "without keys",
                 [&] { store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}); });
  });
  const auto keys = new_provider();
  EventStore with = open_with(harness, keys);
  expect_nothing_written(with, [&] {
    expect_error(ErrorCode::invalid_argument, "personal",
                 [&] { with.append(thing("a"), ExpectedVersion::any(), {personal("", erika)}); });
    expect_error(ErrorCode::invalid_argument, "personal",
                 [&] { with.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika, {"name"})}); });
    expect_error(ErrorCode::invalid_argument, "stele.key", [&] {
      NewEvent made = event();
      made.attributes["stele.key"] = "x";
      with.append(thing("a"), ExpectedVersion::any(), {made});
    });
    // A misspelt place would leave everything readable.
    expect_error(ErrorCode::invalid_argument, "places", [&] {
      with.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika, {"/nmae", "/adress/*"})});
    });
    expect_error(ErrorCode::invalid_argument, "places", [&] {
      Command made = command("r");
      made.data = json(erika);
      made.personal = PersonalData{"erika", {"/nmae"}};
      with.append(request(made, thing("a"), ExpectedVersion::any(), {event()}));
    });
    expect_error(ErrorCode::invalid_argument, "stele.key", [&] {
      NewEvent made = event("registered", erika);
      made.attributes["stele.key"] = uuid(1).to_string();
      made.as_stored = true;
      with.append(thing("a"), ExpectedVersion::any(), {made});
    });
    expect_error(ErrorCode::invalid_argument, "event_id", [&] {
      NewEvent made = personal("erika", erika);
      made.idempotency_key = "once";
      with.append(thing("a"), ExpectedVersion::any(), {made});
    });
    expect_error(ErrorCode::too_large, "attributes", [&] {
      NewEvent made = personal("erika", erika);
      for (int i = 0; i < 32; ++i) made.attributes["a" + std::to_string(i)] = "x";
      with.append(thing("a"), ExpectedVersion::any(), {made});
    });
  });
}

// G5, G6: what is encrypted anew is the same request.
void a_repetition_is_recognised(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  const auto by_command = [&](const std::string& data) {
    return request(command("r"), thing("a"), ExpectedVersion::any(), {personal("erika", data, {"/name"})});
  };
  const AppendResult first = store.append(by_command(R"({"name":"Erika","n":1.50})")).or_throw();
  EventStore another = open_with(harness, keys);
  expect_replay_of(first, another.append(by_command(R"({"n":1.5,"name":"Erika"})")));
  expect_status(AppendStatus::request_id_reused, another.append(by_command(R"({"n":1.5,"name":"Max"})")));
  expect_status(AppendStatus::request_id_reused, another.append(by_command(R"({"n":2,"name":"Erika"})")));
  NewEvent made = personal("erika", erika);
  made.event_id = uuid(1);
  const AppendResult by_id = store.append(thing("b"), ExpectedVersion::any(), {made}).or_throw();
  expect_replay_of(by_id, another.append(thing("b"), ExpectedVersion::any(), {made}));
  made.data = json(R"({"name":"Max"})");
  expect_status(AppendStatus::duplicate_event_id, another.append(thing("b"), ExpectedVersion::any(), {made}));
}

// Whoever knew the old key, and is handed a request that was made under the new one.
void a_repetition_under_a_changed_key(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  EventStore other = open_with(harness, keys);
  for (EventStore* each : {&store, &other}) {
    each->append(thing("before"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  }
  store.forget(own, "erika");
  const AppendRequest once = request(command("r"), thing("a"), ExpectedVersion::any(), {personal("erika", erika)});
  const AppendResult first = store.append(once).or_throw();
  expect_replay_of(first, other.append(once));
  NewEvent made = personal("erika", erika);
  made.event_id = uuid(1);
  EventStore third = open_with(harness, keys);
  third.append(thing("c"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  store.forget(own, "erika");
  const AppendResult by_id = store.append(thing("b"), ExpectedVersion::any(), {made}).or_throw();
  expect_replay_of(by_id, third.append(thing("b"), ExpectedVersion::any(), {made}));
}

void a_commands_data_too(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  Command made = command("r");
  made.data = json(erika);
  made.personal = PersonalData{"erika", {"/name"}};
  const AppendResult first = store.append(request(made, thing("a"), ExpectedVersion::any(), {event()})).or_throw();
  expect_replay_of(first, store.append(request(made, thing("a"), ExpectedVersion::any(), {event()})));
  EXPECT_EQ(text_of(store.find_command(made.key).value().data.value()), text_of(json(erika)));
  EventStore blind = open_store(harness);
  EXPECT_EQ(blind.find_command(made.key).value().data.value().text().find("Erika"), std::string::npos);
  store.forget(own, "erika");
  const std::string left = store.find_command(made.key).value().data.value().text();
  EXPECT_NE(left.find("key_destroyed"), std::string::npos) << left;
  EXPECT_NE(left.find("12345678901234567890.1"), std::string::npos) << left;
}

/// What is stored of one event, appended once more as an event of its own.
void append_forged(EventStore& store, const std::string& id, const RecordedEvent& stored, const std::string& data) {
  NewEvent made;
  static_cast<EventFields&>(made) = stored;
  made.data = json(data);
  made.as_stored = true;
  made.idempotency_key.reset();
  store.append(thing(id), ExpectedVersion::any(), {made}).or_throw();
}

void what_was_moved_or_changed_does_not_open(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika, {"/name"})}).or_throw();
  const RecordedEvent stored = stream_events(store, thing("a"), {.as_stored = true}).at(0);
  const std::string text = stored.data.text();
  const std::size_t ct = text.find("\"ct\"");
  ASSERT_NE(ct, std::string::npos);
  const std::size_t letter = text.find('"', text.find(':', ct)) + 1;
  std::string changed = text;
  changed[letter] = changed[letter] == 'A' ? 'B' : 'A';
  const std::size_t tag = text.find('"', text.find(':', text.find("\"tag\""))) + 1;
  std::string cut = text;
  cut.erase(tag, 4);
  append_forged(store, "moved", stored, text);
  append_forged(store, "changed", stored, changed);
  expect_error(ErrorCode::invalid_argument, "stele.key", [&] { append_forged(store, "cut", stored, cut); });
  for (const char* id : {"moved", "changed"}) {
    SCOPED_TRACE(id);
    expect_error(ErrorCode::tampered, stream_events(store, thing(id), {.as_stored = true}).at(0).event_id.to_string(),
                 [&] { stream_events(store, thing(id)); });
  }
  EXPECT_EQ(text_of(only_data(store, thing("a"))), text_of(json(erika)));
  // A reader of the log comes as far as it can.
  EventReader reader = store.read_log();
  const RecordedEvent* first = reader.next();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->stream, thing("a"));
  for (int i = 0; i < 2; ++i) expect_error(ErrorCode::tampered, "", [&] { reader.next(); });
}

void wrong_missing_and_rotated_master_keys(Harness& harness) {
  StreamKey of_acme = thing("a");
  of_acme.tenant = "acme";
  const std::string first = new_master_key_line("first");
  const std::string second = new_master_key_line("second");
  {
    EventStore store = open_with(harness, provider_of(first));
    store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
    store.append(of_acme, ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  }
  {
    EventStore wrong = open_with(harness, provider_of(new_master_key_line("first")));
    expect_error(ErrorCode::wrong_key, "", [&] { stream_events(wrong, thing("a")); });
    EventStore missing = open_with(harness, provider_of(second));
    expect_error(ErrorCode::key_unavailable, "", [&] { stream_events(missing, thing("a")); });
    // Neither may make things worse.
    expect_error(ErrorCode::wrong_key, "",
                 [&] { wrong.append(thing("b"), ExpectedVersion::any(), {personal("erika", erika)}); });
  }
  const std::string events_before = contents(*std::make_unique<EventStore>(open_store(harness)));
  {
    EventStore rotating = open_with(harness, provider_of(second + ";" + first));
    EXPECT_EQ(rotating.rewrap_keys("nobody"), 0);
    EXPECT_EQ(rotating.rewrap_keys(), 2) << "those of all tenants";
    EXPECT_EQ(rotating.rewrap_keys(), 0);
    EventStore back = open_with(harness, provider_of(first + ";" + second));
    EXPECT_EQ(back.rewrap_keys("acme"), 1);
    EXPECT_EQ(rotating.rewrap_keys(), 1);
    EXPECT_EQ(rotating.list_subject_keys().at(0).wrapped.value().master_key_id, "second");
  }
  EXPECT_EQ(contents(*std::make_unique<EventStore>(open_store(harness))), events_before) << "events are not touched";
  EventStore rotated = open_with(harness, provider_of(second));
  for (const StreamKey& stream : {thing("a"), of_acme}) {
    EXPECT_EQ(text_of(only_data(rotated, stream)), text_of(json(erika)));
  }
  EventStore old = open_with(harness, provider_of(first));
  expect_error(ErrorCode::key_unavailable, "", [&] { stream_events(old, thing("a")); });
}

void the_forgotten_cannot_be_read(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika), event("paid", R"({"n":1})")}).or_throw();
  store.append(thing("b"), ExpectedVersion::any(), {personal("erika", erika, {"/name"}), personal("max", erika)})
      .or_throw();
  const std::size_t events_before = log_events(store).size();
  const ForgetResult result = store.forget(own, "erika");
  EXPECT_TRUE(result.found);
  EXPECT_EQ(result.events, 2);
  EXPECT_EQ(result.streams, 2);
  EXPECT_EQ(log_events(store).size(), events_before + 2) << "nothing is removed, and everybody is told";
  EXPECT_EQ(text_of(stream_events(store, thing("a")).at(0).data), text_of(json(std::string(gone))));
  const Json part = stream_events(store, thing("b")).at(0).data;
  EXPECT_TRUE(json_equal(
      part, json(R"({"name":)" + std::string(gone) + R"(,"amount":12345678901234567890.10,"tags":["a","b"]})")))
      << part.text();
  EXPECT_EQ(text_of(stream_events(store, thing("b")).at(1).data), text_of(json(erika))) << "somebody else's";

  const StreamKey told(own, std::string(subject_stream_type), result.key_id.to_string());
  const std::vector<RecordedEvent> notices = stream_events(store, told);
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_EQ(notices.front().type, subject_closed_type);
  EXPECT_EQ(notices.back().type, subject_forgotten_type);
  for (const RecordedEvent& notice : notices) EXPECT_EQ(notice.data.text().find("erika"), std::string::npos);

  for (const SubjectKey& key : store.list_subject_keys()) {
    if (key.key_id != result.key_id) continue;
    EXPECT_FALSE(key.wrapped);
    EXPECT_EQ(key.subject, "");
    EXPECT_TRUE(key.destroyed_at);
  }
  EXPECT_FALSE(store.forget(own, "erika").found);
  EXPECT_FALSE(store.forget(own, "nobody").found);
  EXPECT_EQ(stream_events(store, told).size(), 2u);

  // Who comes again is a new subject.
  store.append(thing("c"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  EXPECT_EQ(text_of(only_data(store, thing("c"))), text_of(json(erika)));
  EXPECT_EQ(text_of(stream_events(store, thing("a")).at(0).data), text_of(json(std::string(gone))));
  EXPECT_TRUE(store.verify().ok());
}

// Whatever was done when the process ended.
void who_was_interrupted_forgets_the_rest(Harness& harness) {
  const auto keys = new_provider();
  for (const bool destroyed : {false, true}) {
    SCOPED_TRACE(destroyed ? "behind the key" : "before the key");
    const std::string subject = destroyed ? "erika" : "max";
    EventStore store = open_with(harness, keys);
    EventStore other = open_with(harness, keys);
    store.append(thing("of " + subject), ExpectedVersion::any(), {personal(subject, erika)}).or_throw();
    other.append(thing("also of " + subject), ExpectedVersion::any(), {personal(subject, erika)}).or_throw();
    const Uuid key_id = store.driver().find_subject_key(own, subject).value().key_id;
    const StreamKey notices(own, std::string(subject_stream_type), key_id.to_string());
    NewEvent closed = event(std::string(subject_closed_type));
    expect_error(ErrorCode::invalid_argument, "the store's own",
                 [&] { store.append(notices, ExpectedVersion::no_stream(), {closed}); });
    closed.as_stored = true;
    store.append(notices, ExpectedVersion::no_stream(), {closed}).or_throw();
    if (destroyed) {
      EXPECT_TRUE(store.driver().destroy_subject_key(own, key_id));
    }
    for (EventStore* writer : {&store, &other}) {
      expect_nothing_written(store, [&] {
        expect_error(ErrorCode::busy, "being forgotten",
                     [&] { writer->append(thing("late"), ExpectedVersion::any(), {personal(subject, erika)}); });
      });
    }
    const ForgetResult result = store.forget(own, subject);
    EXPECT_TRUE(result.found);
    EXPECT_EQ(result.key_id, key_id);
    EXPECT_EQ(result.events, 2);
    EXPECT_EQ(stream_events(store, notices).size(), 2u);
    EXPECT_FALSE(store.driver().find_subject_key(own, subject));
    EXPECT_EQ(text_of(only_data(store, thing("of " + subject))), text_of(json(std::string(gone))));
    other.append(thing("new of " + subject), ExpectedVersion::any(), {personal(subject, erika)}).or_throw();
    EXPECT_EQ(text_of(only_data(store, thing("new of " + subject))), text_of(json(erika)));
  }
}

// Nothing that was acknowledged before somebody was forgotten, or after, is under a key that is gone: but for what was
// there before.
void nothing_is_written_under_a_destroyed_key(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  EventStore forgetting = open_with(harness, keys);
  std::atomic<bool> stop{false};
  std::atomic<int> appended{0};
  std::thread forgets([&] {
    for (int i = 0; i < rounds(20, 4); ++i) {
      const int wanted = appended + 3;
      while (appended < wanted && !stop) std::this_thread::yield();
      forgetting.forget(own, "erika");
    }
    stop = true;
  });
  try {
    while (!stop) {
      try {
        store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
        ++appended;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::busy) << error.what();
      }
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
    stop = true;
  }
  forgets.join();
  // Each key's events come before its stream's first.
  std::map<std::string, Position> closed;
  for (const RecordedEvent& each : log_events(store, {.as_stored = true})) {
    if (each.type == subject_closed_type) closed[each.stream.id] = each.position;
    const auto key = each.attributes.find("stele.key");
    if (key == each.attributes.end()) continue;
    EXPECT_EQ(closed.count(key->second), 0u)
        << "position " << each.position.value() << " is under a key that was closed";
  }
  EXPECT_GT(closed.size(), 2u);
}

void other_processes_forget_within_a_second(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  EventStore other = open_with(harness, keys);
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  EXPECT_EQ(text_of(only_data(other, thing("a"))), text_of(json(erika)));
  other.append(thing("other"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  store.forget(own, "erika");
  EXPECT_EQ(text_of(only_data(store, thing("a"))), text_of(json(std::string(gone))));
  // Writers do not even wait for that: what they encrypt is under the subject's new key, though they knew the old one.
  other.append(thing("b"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  EXPECT_EQ(text_of(only_data(store, thing("b"))), text_of(json(erika)));
  EXPECT_TRUE(comes_true([&] { return text_of(only_data(other, thing("a"))) == text_of(json(std::string(gone))); }));
}

void snapshots_go_with_the_key(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  store.append(thing("b"), ExpectedVersion::any(), {personal("max", erika)}).or_throw();
  for (const char* id : {"a", "b"}) {
    Snapshot snapshot;
    snapshot.stream = thing(id);
    snapshot.version = Version(1);
    snapshot.state = json(erika);
    EXPECT_TRUE(store.save_snapshot(snapshot));
  }
  EXPECT_EQ(store.forget(own, "erika").snapshots, 1);
  EXPECT_FALSE(store.find_snapshot(thing("a")));
  EXPECT_TRUE(store.find_snapshot(thing("b")));
}

void followers_get_it_decrypted_and_are_told(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return seen.size();
  };
  Subscription subscription(store, {}, [&](const RecordedEvent& event) {
    const std::lock_guard lock(mutex);
    seen.push_back(event.type + " " + event.data.canonical());
  });
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", R"({"name":"Erika"})")}).or_throw();
  ASSERT_TRUE(comes_true([&] { return count() == 1; }));
  store.forget(own, "erika");
  ASSERT_TRUE(comes_true([&] { return count() == 3; }));
  subscription.stop();
  EXPECT_EQ(seen.at(0), R"(registered {"name":"Erika"})");
  EXPECT_TRUE(seen.at(2).starts_with(std::string(subject_forgotten_type))) << seen.at(2);
}

void inline_projections_see_what_was_written(Harness& harness) {
  class Names final : public Projection {
   public:
    explicit Names(std::vector<std::string>& seen) : seen_(seen) {}
    std::string name() const override { return "names"; }
    void apply(const RecordedEvent& event, ProjectionContext&) override { seen_.push_back(event.data.canonical()); }

   private:
    std::vector<std::string>& seen_;
  };
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  std::vector<std::string> seen;
  store.use_inline_projection(std::make_shared<Names>(seen));
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", R"({"name":"Erika"})")}).or_throw();
  EXPECT_EQ(seen, std::vector<std::string>{R"({"name":"Erika"})"});
  EXPECT_EQ(stream_events(store, thing("a"), {.as_stored = true}).at(0).data.text().find("Erika"), std::string::npos);
}

/// What it has seen of each event.
struct Person {
  static constexpr std::string_view stream_type = "thing";
  static constexpr std::int32_t snapshot_schema_version = 1;
  static inline std::function<void()> before_snapshot{};  ///< Between loading and saving.

  std::vector<std::string> seen;

  void apply(const RecordedEvent& event) { seen.push_back(event.data.canonical()); }
  Json to_snapshot() const {
    if (before_snapshot) before_snapshot();
    return Json(nlohmann::json(seen));
  }
  static Person from_snapshot(const Json& json) { return {json.value().get<std::vector<std::string>>()}; }
};

Repository<Person> persons(EventStore& store, std::int64_t every_events = 0) {
  RepositoryOptions options;
  options.snapshots.every_events = every_events;
  return Repository<Person>(store, std::move(options));
}

// Decisions are made on what was written, and not on envelopes.
void aggregates_know_what_is_encrypted(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  const std::string name = R"({"name":"Erika"})";
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", name), event("paid", R"({"n":1})")}).or_throw();
  const std::vector<std::string> wanted{name, R"({"n":1})"};
  const Repository<Person> repository = persons(store, 3);
  EXPECT_EQ(repository.load("a").state.seen, wanted);
  std::vector<std::string> decided_on;
  const auto rename = [&](const Person& person) {
    decided_on = person.seen;
    return std::vector<NewEvent>{personal("erika", name)};
  };
  EXPECT_TRUE(repository.execute("a", rename).ok());
  EXPECT_EQ(decided_on, wanted);
  if (harness.has(Capability::read_models)) {
    EXPECT_EQ(repository.load("a").snapshot_version, Version(3)) << "one was due";
    EXPECT_EQ(repository.load("a").state.seen, (std::vector<std::string>{name, R"({"n":1})", name}));
  }
  // With upcasters it is the same, and they see no envelope either.
  EventStore upcasting = open_with(harness, keys);
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add("registered", 1, [](const RecordedEvent& old) {
    EXPECT_EQ(old.data.text().find("$encrypted"), std::string::npos);
    return old.data;
  });
  upcasting.use_upcasters(upcasters);
  EXPECT_EQ(persons(upcasting).load("a", Version(2)).state.seen, wanted);

  store.forget(own, "erika");
  EXPECT_EQ(persons(store).load("a").state.seen,
            (std::vector<std::string>{std::string(gone), R"({"n":1})", std::string(gone)}));
}

// Effects are shown as their causes are.
void traces_are_readable(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  NewEvent cause = personal("erika", R"({"name":"Erika"})");
  cause.event_id = uuid(1);
  NewEvent effect = personal("erika", R"({"name":"Erika M."})");
  effect.causation_id = uuid(1);
  store.append(thing("a"), ExpectedVersion::any(), {cause, effect}).or_throw();
  const Trace found = trace(store, uuid(1));
  ASSERT_EQ(found.effects.size(), 1u);
  EXPECT_EQ(found.event.value().data.canonical(), R"({"name":"Erika"})");
  EXPECT_EQ(found.effects.front().event.data.canonical(), R"({"name":"Erika M."})");
}

// Whoever loads for longer than forgetting waits must not keep what is gone.
void a_snapshot_begun_before_forgetting_does_not_stay(Harness& harness) {
  if (!harness.has(Capability::read_models)) return;
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  EventStore other = open_with(harness, keys);
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", R"({"name":"Erika"})")}).or_throw();
  store.append(thing("b"), ExpectedVersion::any(), {personal("max", R"({"name":"Max"})")}).or_throw();
  const Repository<Person> repository = persons(store);
  const auto loaded = repository.load("a");
  Person::before_snapshot = [&] {
    Person::before_snapshot = nullptr;
    EXPECT_TRUE(other.forget(own, "erika").found);
  };
  EXPECT_FALSE(repository.snapshot(loaded));
  EXPECT_FALSE(store.find_snapshot(thing("a")));
  // One that is asked for afterwards, of a state that was loaded before, has nothing of it; and others' stay.
  EXPECT_TRUE(repository.snapshot(loaded));
  EXPECT_EQ(store.find_snapshot(thing("a")).value().state.text().find("Erika"), std::string::npos);
  EXPECT_TRUE(repository.snapshot(repository.load("b")));
  EXPECT_NE(store.find_snapshot(thing("b")).value().state.text().find("Max"), std::string::npos);
}

/// Calls a function first, which may throw.
class WatchedProvider final : public KeyProvider {
 public:
  WatchedProvider(std::shared_ptr<KeyProvider> inner, std::function<void()> before_unwrap)
      : inner_(std::move(inner)), before_unwrap_(std::move(before_unwrap)) {}
  std::string current_master_key() override { return inner_->current_master_key(); }
  WrappedKey wrap(const SecretKey& key, const KeyContext& context) override { return inner_->wrap(key, context); }
  SecretKey unwrap(const WrappedKey& wrapped, const KeyContext& context) override {
    before_unwrap_();
    return inner_->unwrap(wrapped, context);
  }

 private:
  std::shared_ptr<KeyProvider> inner_;
  std::function<void()> before_unwrap_;
};

void a_slow_provider_opens_nothing_that_is_destroyed(Harness& harness) {
  const auto keys = new_provider();
  EventStore writer = open_with(harness, keys);
  writer.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  int asked = 0;
  EventStore store = open_with(harness, std::make_shared<WatchedProvider>(keys, [&] {
                                 if (++asked > 1) return;
                                 writer.forget(own, "erika");
                                 std::this_thread::sleep_for(std::chrono::milliseconds(300));
                               }));
  EXPECT_EQ(text_of(only_data(store, thing("a"))), text_of(json(std::string(gone))));
  EXPECT_EQ(asked, 1);
}

void followers_wait_for_a_provider_and_pass_what_does_not_open(Harness& harness) {
  const auto keys = new_provider();
  EventStore writer = open_with(harness, keys);
  writer.append(thing("a"), ExpectedVersion::any(), {personal("erika", R"({"name":"Erika"})")}).or_throw();
  append_forged(writer, "moved", stream_events(writer, thing("a"), {.as_stored = true}).at(0),
                stream_events(writer, thing("a"), {.as_stored = true}).at(0).data.text());
  writer.append(thing("a"), ExpectedVersion::any(), {personal("max", R"({"name":"Max"})")}).or_throw();

  std::atomic<int> refusals{3};
  EventStore store = open_with(harness, std::make_shared<WatchedProvider>(keys, [&] {
                                 if (refusals <= 0) return;
                                 --refusals;
                                 Error::Details details;
                                 details.retryable = true;
                                 throw Error(ErrorCode::key_unavailable, "out of reach", std::move(details));
                               }));
  std::mutex mutex;
  std::vector<std::string> seen;
  SubscriptionOptions options;
  options.start = Start::beginning();
  if (harness.has(Capability::read_models)) options.name = "names";
  options.on_error.retries = 0;
  options.on_error.then =
      harness.has(Capability::read_models) ? ErrorPolicy::Then::dead_letter : ErrorPolicy::Then::stop;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    const std::lock_guard lock(mutex);
    seen.push_back(event.data.canonical());
  });
  if (!harness.has(Capability::read_models)) return;
  ASSERT_TRUE(subscription.wait_for(store.log_end(), patience()));
  subscription.stop();
  EXPECT_EQ(refusals, 0);
  EXPECT_EQ(seen, (std::vector<std::string>{R"({"name":"Erika"})", R"({"name":"Max"})"}));
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"names", ""}, 10);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].event_id, stream_events(store, thing("moved"), {.as_stored = true}).at(0).event_id);
  EXPECT_TRUE(letters[0].error.starts_with("tampered")) << letters[0].error;
}

void what_has_to_be_kept_is_not_forgotten(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  EventTypeRules rules;
  rules.event_type = "invoiced";
  rules.keep_days = 2'555;
  store.set_type_rules(rules);
  rules.event_type = "short";
  rules.keep_days = 0;
  store.set_type_rules(rules);
  NewEvent invoice = personal("erika", erika, {"/name"});
  invoice.type = "invoiced";
  NewEvent past = personal("max", erika);
  past.type = "short";
  store.append(thing("a"), ExpectedVersion::any(), {invoice, personal("erika", erika), past}).or_throw();
  EXPECT_TRUE(store.forget(own, "max").found) << "the time of that one is over";
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::must_be_kept, "1 of the subject's events have to be kept for longer",
                 [&] { store.forget(own, "erika"); });
    expect_error(ErrorCode::must_be_kept, "invoiced (2555 days)", [&] { store.forget(own, "erika"); });
  });
  EXPECT_EQ(text_of(stream_events(store, thing("a")).at(1).data), text_of(json(erika))) << "the key is still there";
  const ForgetResult result = store.forget(own, "erika", {.in_spite_of_retention = true});
  ASSERT_TRUE(result.found);
  EXPECT_EQ(result.events, 2);
  const StreamKey notices(own, std::string(subject_stream_type), result.key_id.to_string());
  EXPECT_EQ(stream_events(store, notices).back().data.value().at("must_be_kept"), 1);
}

void nothing_keeps_the_store_from_telling(Harness& harness) {
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  for (const std::string_view type : {subject_closed_type, subject_forgotten_type}) {
    EventSchema nothing;
    nothing.form = {std::string(type), 1};
    nothing.text = R"({"not":{}})";
    store.add_schema(nothing);
  }
  store.append(thing("a"), ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  EXPECT_TRUE(store.forget(own, "erika").found);
}

// With snapshots in more streams than are asked for one by one.
void snapshots_of_many_streams_go(Harness& harness) {
  if (!harness.has(Capability::read_models)) return;
  const auto keys = new_provider();
  EventStore store = open_with(harness, keys);
  for (int i = 0; i < 30; ++i) {
    const StreamKey stream = thing(std::to_string(i));
    store.append(stream, ExpectedVersion::any(), {personal(i == 7 ? "max" : "erika", erika)}).or_throw();
    Snapshot snapshot;
    snapshot.stream = stream;
    snapshot.version = Version(1);
    snapshot.state = json(erika);
    if (i % 2 == 1) {
      EXPECT_TRUE(store.save_snapshot(snapshot));
    }
  }
  EXPECT_EQ(store.forget(own, "erika").snapshots, 14);
  EXPECT_EQ(store.list_snapshots().size(), 1u);
  EXPECT_TRUE(store.find_snapshot(thing("7")));
}

void each_tenant_has_its_own_keys(Harness& harness) {
  const auto keys = new_provider();
  EventStore acme(driver::for_tenant(harness.open(), "acme"), {.keys = keys});
  EventStore rival(driver::for_tenant(harness.open(), "rival"), {.keys = keys});
  StreamKey of_acme = thing("a");
  of_acme.tenant = "acme";
  StreamKey of_rival = thing("a");
  of_rival.tenant = "rival";
  acme.append(of_acme, ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  rival.append(of_rival, ExpectedVersion::any(), {personal("erika", erika)}).or_throw();
  const std::vector<SubjectKey> listed = acme.list_subject_keys("acme");
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_NE(listed.at(0).key_id, rival.list_subject_keys("rival").at(0).key_id);
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.list_subject_keys("acme"); });
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.rewrap_keys("acme"); });
  EXPECT_EQ(rival.driver().list_key_tenants(), std::vector<std::string>{"rival"});
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.forget("acme", "erika"); });
  EXPECT_EQ(rival.driver().find_subject_keys("rival", std::vector<Uuid>{listed.at(0).key_id}).size(), 0u);
  EXPECT_TRUE(rival.forget("rival", "erika").found);
  EXPECT_EQ(text_of(only_data(acme, of_acme)), text_of(json(erika)));
}

void two_writers_share_the_first_key(Harness& harness) {
  const auto keys = new_provider();
  std::vector<EventStore> stores;
  for (int i = 0; i < 4; ++i) stores.push_back(open_with(harness, keys));
  in_threads(4, [&](int n) {
    stores.at(static_cast<std::size_t>(n))
        .append(thing(std::to_string(n)), ExpectedVersion::any(), {personal("erika", erika)})
        .or_throw();
  });
  EXPECT_EQ(stores.front().list_subject_keys().size(), 1u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(text_of(only_data(stores.front(), thing(std::to_string(i)))), text_of(json(erika)));
  }
}

constexpr Capability governed = Capability::governance;
constexpr Case cases[] = {
    {"API", "only_who_has_the_keys_can_read", governed, only_who_has_the_keys_can_read},
    {"API", "without_keys_nothing_is_written_in_the_clear", governed, without_keys_nothing_is_written_in_the_clear},
    {"G5", "a_repetition_is_recognised", governed, a_repetition_is_recognised},
    {"G5", "a_repetition_under_a_changed_key", governed, a_repetition_under_a_changed_key},
    {"API", "a_commands_data_too", governed, a_commands_data_too},
    {"API", "what_was_moved_or_changed_does_not_open", governed, what_was_moved_or_changed_does_not_open},
    {"API", "wrong_missing_and_rotated_master_keys", governed, wrong_missing_and_rotated_master_keys},
    {"API", "the_forgotten_cannot_be_read", governed, the_forgotten_cannot_be_read},
    {"API", "who_was_interrupted_forgets_the_rest", governed, who_was_interrupted_forgets_the_rest},
    {"API", "nothing_is_written_under_a_destroyed_key", governed, nothing_is_written_under_a_destroyed_key},
    {"API", "other_processes_forget_within_a_second", governed, other_processes_forget_within_a_second},
    {"API", "snapshots_go_with_the_key", governed, snapshots_go_with_the_key},
    {"API", "snapshots_of_many_streams_go", governed, snapshots_of_many_streams_go},
    {"API", "a_snapshot_begun_before_forgetting_does_not_stay", governed,
     a_snapshot_begun_before_forgetting_does_not_stay},
    {"API", "aggregates_know_what_is_encrypted", governed, aggregates_know_what_is_encrypted},
    {"API", "traces_are_readable", governed, traces_are_readable},
    {"API", "a_slow_provider_opens_nothing_that_is_destroyed", governed,
     a_slow_provider_opens_nothing_that_is_destroyed},
    {"API", "what_has_to_be_kept_is_not_forgotten", governed, what_has_to_be_kept_is_not_forgotten},
    {"API", "nothing_keeps_the_store_from_telling", governed, nothing_keeps_the_store_from_telling},
    {"G13", "followers_wait_for_a_provider_and_pass_what_does_not_open", governed,
     followers_wait_for_a_provider_and_pass_what_does_not_open},
    {"G13", "followers_get_it_decrypted_and_are_told", governed, followers_get_it_decrypted_and_are_told},
    {"G13", "inline_projections_see_what_was_written", governed, inline_projections_see_what_was_written},
    {"G14", "each_tenant_has_its_own_keys", governed, each_tenant_has_its_own_keys},
    {"API", "two_writers_share_the_first_key", governed, two_writers_share_the_first_key},
};

}  // namespace

std::span<const Case> encryption_cases() {
  return cases;
}

}  // namespace stele::testing
