#include "support.h"

#include <cstdlib>
#include <latch>
#include <random>
#include <sstream>
#include <thread>

namespace stele::testing {
namespace {

// More than any case writes.
constexpr std::size_t too_many_events = 200'000;

template <class T, class Text>
void put(std::ostream& out, std::string_view name, const std::optional<T>& value, Text&& text) {
  if (value) out << ' ' << name << '=' << text(*value);
}

std::string outcome_text(const std::vector<StreamOutcome>& outcome) {
  std::ostringstream out;
  for (const StreamOutcome& stream : outcome) {
    out << " [" << stream.stream.to_string() << " versions " << stream.first_version.value() << ".."
        << stream.last_version.value() << " positions " << stream.first_position.value() << ".."
        << stream.last_position.value() << ']';
  }
  return out.str();
}

const auto as_is = [](const auto& value) { return value; };
const auto as_string = [](const auto& value) { return value.to_string(); };
const auto as_json = [](const Json& value) { return value.canonical(); };
const auto as_name = [](auto value) { return to_string(value); };
const auto as_actor = [](const Actor& actor) { return std::string(to_string(actor.type)) + ":" + actor.id; };
const auto as_command = [](const CommandKey& key) { return key.tenant + "|" + key.source + "|" + key.request_id; };

std::function<std::unique_ptr<Harness>()>& harness_factory() {
  static std::function<std::unique_ptr<Harness>()> make;
  return make;
}

}  // namespace

EventStore open_store(Harness& harness) {
  return EventStore(harness.open());
}

std::unique_ptr<Harness> another_harness() {
  return harness_factory()();
}
void make_harnesses_with(std::function<std::unique_ptr<Harness>()> make) {
  harness_factory() = std::move(make);
}

StreamKey thing(std::string id) {
  return {"thing", std::move(id)};
}

Json json(std::string text) {
  return Json(std::move(text));
}

Uuid uuid(std::uint8_t number) {
  Uuid::Bytes bytes{0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0};
  bytes[15] = number;
  bytes[4] = static_cast<std::uint8_t>(number * 37);
  return Uuid(bytes);
}

NewEvent event(std::string type, std::string data) {
  NewEvent made;
  made.type = std::move(type);
  made.data = Json(std::move(data));
  return made;
}

std::vector<NewEvent> events(int count, int first) {
  std::vector<NewEvent> made;
  for (int i = 0; i < count; ++i) made.push_back(event("happened", "{\"n\":" + std::to_string(first + i) + "}"));
  return made;
}

std::vector<NewEvent> events_with_ids(const std::vector<int>& numbers) {
  std::vector<NewEvent> made;
  for (const int number : numbers) {
    made.push_back(event("happened", "{\"n\":" + std::to_string(number) + "}"));
    made.back().event_id = uuid(static_cast<std::uint8_t>(number));
  }
  return made;
}

std::string numbered(std::int64_t number) {
  return Json("{\"n\":" + std::to_string(number) + "}").canonical();
}

NewEvent full_event(int number) {
  const std::string n = std::to_string(number);
  NewEvent made = event("type-" + n, R"({"number":)" + n + R"(,"text":"héllo","list":[1,2.50,null,true]})");
  made.event_id = uuid(static_cast<std::uint8_t>(number));
  made.event_version = 1 + number;
  made.occurred_at = Timestamp::from_micros(1'700'000'000'123'456 + number);
  made.valid_from = Timestamp::from_micros(1'600'000'000'000'001 + number);
  made.valid_to = Timestamp::from_micros(1'800'000'000'999'999 + number);
  made.actor = Actor{static_cast<ActorType>(number % 4), "actor-" + n};
  made.source = "source-" + n;
  made.channel = static_cast<Channel>(number % 5);
  made.idempotency_key = "key-" + n;
  made.causation_id = uuid(static_cast<std::uint8_t>(number + 100));
  made.correlation_id = uuid(static_cast<std::uint8_t>(number + 150));
  made.redaction_level = static_cast<RedactionLevel>(number % 3);
  made.contains_secrets = number % 2 == 1;
  made.metadata = json(R"({"m":)" + n + "}");
  made.policy_context = json(R"({"p":)" + n + "}");
  made.model_context = json(R"({"model":"x","t":0.)" + n + "}");
  made.display = json(R"({"title":"№ )" + n + "\"}");
  made.attributes = {{"mission_id", "mission-" + n}, {"room", "blue"}};
  return made;
}

Command command(std::string request_id, std::string source, std::string type) {
  Command made;
  made.key.source = std::move(source);
  made.key.request_id = std::move(request_id);
  made.type = std::move(type);
  return made;
}

AppendRequest request(StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events) {
  AppendRequest made;
  made.streams.push_back({std::move(stream), expected, std::move(events)});
  return made;
}

AppendRequest request(Command command, StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events) {
  AppendRequest made = request(std::move(stream), expected, std::move(events));
  made.command = std::move(command);
  return made;
}

std::vector<RecordedEvent> read_all(EventReader reader) {
  std::vector<RecordedEvent> all;
  for (const RecordedEvent& event : reader) {
    all.push_back(event);
    if (all.size() > too_many_events) {
      ADD_FAILURE() << "the read does not end";
      break;
    }
  }
  return all;
}

std::vector<RecordedEvent> stream_events(EventStore& store, const StreamKey& stream, const StreamReadOptions& options) {
  return read_all(store.read_stream(stream, options));
}

std::vector<RecordedEvent> log_events(EventStore& store, const LogReadOptions& options) {
  return read_all(store.read_log(options));
}

std::vector<std::int64_t> versions(const std::vector<RecordedEvent>& events) {
  std::vector<std::int64_t> list;
  for (const RecordedEvent& event : events) list.push_back(event.version.value());
  return list;
}

std::vector<std::int64_t> positions(const std::vector<RecordedEvent>& events) {
  std::vector<std::int64_t> list;
  for (const RecordedEvent& event : events) list.push_back(event.position.value());
  return list;
}

std::vector<std::int64_t> numbers(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> list;
  for (std::int64_t n = first; n <= last; ++n) list.push_back(n);
  return list;
}

std::string describe(const RecordedEvent& event) {
  std::ostringstream out;
  out << '#' << event.position.value() << ' ' << event.stream.tenant << ':' << event.stream.type << '/'
      << event.stream.id << '@' << event.version.value() << ' ' << event.type << " v" << event.event_version << ' '
      << event.event_id.to_string() << " occurred=" << event.occurred_at.to_string()
      << " recorded=" << event.recorded_at.to_string();
  put(out, "valid_from", event.valid_from, as_string);
  put(out, "valid_to", event.valid_to, as_string);
  put(out, "actor", event.actor, as_actor);
  put(out, "source", event.source, as_is);
  put(out, "channel", event.channel, as_name);
  put(out, "idempotency_key", event.idempotency_key, as_is);
  put(out, "causation_id", event.causation_id, as_string);
  put(out, "correlation_id", event.correlation_id, as_string);
  put(out, "command", event.command, as_command);
  out << ' ' << to_string(event.redaction_level) << (event.contains_secrets ? " secret" : "");
  for (const auto& [name, value] : event.attributes) out << " {" << name << '=' << value << '}';
  out << " data=" << event.data.canonical();
  put(out, "metadata", event.metadata, as_json);
  put(out, "policy_context", event.policy_context, as_json);
  put(out, "model_context", event.model_context, as_json);
  put(out, "display", event.display, as_json);
  return out.str();
}

std::vector<std::string> describe(const std::vector<RecordedEvent>& events) {
  std::vector<std::string> list;
  for (const RecordedEvent& event : events) list.push_back(describe(event));
  return list;
}

std::string describe(const AppendResult& result) {
  std::string text(to_string(result.status));
  text += outcome_text(result.streams);
  if (result.conflict) {
    text += " " + result.conflict->stream.to_string() + " expected " + result.conflict->expected.to_string() +
            " actual " + std::to_string(result.conflict->actual.value());
  }
  return result.detail.empty() ? text : text + " (" + result.detail + ")";
}

std::string describe(const CommandRecord& record) {
  std::ostringstream out;
  out << as_command(record.key) << ' ' << record.command_id.to_string() << ' ' << record.type
      << " recorded=" << record.recorded_at.to_string();
  put(out, "stream", record.stream, as_string);
  put(out, "actor", record.actor, as_actor);
  put(out, "channel", record.channel, as_name);
  put(out, "data", record.data, as_json);
  out << outcome_text(record.outcome);
  return out.str();
}

std::string describe(const StreamInfo& info) {
  return info.stream.tenant + ":" + info.stream.type + "/" + info.stream.id + " at " +
         std::to_string(info.version.value()) + " created " + info.created_at.to_string() + " last " +
         info.last_recorded_at.to_string();
}

std::string contents(EventStore& store) {
  std::string text;
  for (const RecordedEvent& event : read_all(store.read_log())) text += describe(event) + "\n";
  for (const std::string& tenant : store.driver().list_tenants()) {
    StreamListOptions list;
    list.tenant = tenant;
    list.limit = 10'000;
    for (const StreamInfo& info : store.list_streams(list)) text += describe(info) + "\n";
  }
  return text + "commands: " + std::to_string(store.stats().commands) + "\n";
}

void expect_stored(const NewEvent& given, const RecordedEvent& stored) {
  EXPECT_EQ(stored.type, given.type);
  EXPECT_EQ(stored.event_version, given.event_version);
  if (given.event_id) {
    EXPECT_EQ(stored.event_id.to_string(), given.event_id->to_string());
  }
  if (given.occurred_at) {
    EXPECT_EQ(stored.occurred_at.to_string(), given.occurred_at->to_string());
  }
  EXPECT_EQ(stored.valid_from, given.valid_from);
  EXPECT_EQ(stored.valid_to, given.valid_to);
  EXPECT_EQ(stored.actor, given.actor);
  EXPECT_EQ(stored.source, given.source);
  EXPECT_EQ(stored.channel, given.channel);
  EXPECT_EQ(stored.idempotency_key, given.idempotency_key);
  EXPECT_EQ(stored.causation_id, given.causation_id);
  EXPECT_EQ(stored.correlation_id, given.correlation_id);
  EXPECT_EQ(to_string(stored.redaction_level), to_string(given.redaction_level));
  EXPECT_EQ(stored.contains_secrets, given.contains_secrets);
  EXPECT_EQ(stored.attributes, given.attributes);
  EXPECT_EQ(stored.data.canonical(), given.data.canonical());
  const auto expect_same_json = [](const char* field, const std::optional<Json>& a, const std::optional<Json>& b) {
    EXPECT_EQ(a ? a->canonical() : "absent", b ? b->canonical() : "absent") << field;
  };
  expect_same_json("metadata", stored.metadata, given.metadata);
  expect_same_json("policy_context", stored.policy_context, given.policy_context);
  expect_same_json("model_context", stored.model_context, given.model_context);
  expect_same_json("display", stored.display, given.display);
}

void expect_numbers(EventStore& store, const StreamKey& stream, const std::vector<int>& wanted) {
  std::vector<std::string> data;
  for (const int n : wanted) data.push_back(numbered(n));
  const std::vector<RecordedEvent> stored = stream_events(store, stream);
  std::vector<std::string> found;
  for (const RecordedEvent& event : stored) found.push_back(event.data.canonical());
  EXPECT_EQ(found, data) << stream.to_string();
  EXPECT_EQ(versions(stored), numbers(1, static_cast<std::int64_t>(wanted.size()))) << stream.to_string();
  EXPECT_EQ(store.stream_version(stream).value(), static_cast<std::int64_t>(wanted.size())) << stream.to_string();
}

void expect_appended(const AppendResult& result, std::int64_t first, std::int64_t last) {
  EXPECT_EQ(to_string(result.status), "appended") << describe(result);
  EXPECT_FALSE(result.conflict);
  ASSERT_EQ(result.streams.size(), 1u);
  const StreamOutcome& outcome = result.streams.front();
  EXPECT_EQ(outcome.first_version.value(), first);
  EXPECT_EQ(outcome.last_version.value(), last);
  EXPECT_GE(outcome.first_position.value(), 1);
  EXPECT_GE(outcome.last_position.value() - outcome.first_position.value(), last - first);
  EXPECT_EQ(result.last_position(), outcome.last_position);
}

void expect_replay_of(const AppendResult& original, const AppendResult& result) {
  EXPECT_EQ(to_string(result.status), "replayed") << describe(result);
  EXPECT_TRUE(result.ok() && result.replayed());
  EXPECT_EQ(outcome_text(result.streams), outcome_text(original.streams));
}

void expect_status(AppendStatus wanted, const AppendResult& result) {
  EXPECT_EQ(to_string(result.status), to_string(wanted)) << describe(result);
  EXPECT_EQ(result.ok(), wanted == AppendStatus::appended || wanted == AppendStatus::replayed);
  EXPECT_EQ(result.conflict.has_value(), wanted == AppendStatus::conflict);
}

void expect_conflict(const AppendResult& result, const StreamKey& stream, ExpectedVersion expected,
                     std::int64_t actual) {
  EXPECT_EQ(to_string(result.status), "conflict") << describe(result);
  EXPECT_FALSE(result.ok());
  ASSERT_TRUE(result.conflict);
  EXPECT_EQ(result.conflict->stream, stream);
  EXPECT_EQ(result.conflict->expected.to_string(), expected.to_string());
  EXPECT_EQ(result.conflict->actual.value(), actual);
}

void expect_error(ErrorCode code, std::string_view mentions, const std::function<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown, " << to_string(code) << " was expected";
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
    EXPECT_NE(error.message().find(mentions), std::string::npos)
        << "the message \"" << error.message() << "\" does not mention \"" << mentions << '"';
    EXPECT_EQ(to_string(error.outcome()), "not_applied");
  }
}

void expect_nothing_written(EventStore& store, const std::function<void()>& call) {
  const std::string before = contents(store);
  call();
  EXPECT_EQ(contents(store), before);
}

void in_threads(int count, const std::function<void(int)>& body) {
  std::latch start(count);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      try {
        body(i);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "thread " << i << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

bool quick() {
  const char* value = std::getenv("STELE_CONFORMANCE_QUICK");
  return value != nullptr && std::string_view(value) == "1";
}

int rounds(int rounds, int least) {
  return quick() ? std::max(least, rounds / 10) : rounds;
}

std::chrono::milliseconds patience() {
  const char* seconds = std::getenv("STELE_CONFORMANCE_PATIENCE");
  return std::chrono::seconds(seconds == nullptr ? 60 : std::stoi(seconds));
}

std::uint64_t seed() {
  if (const char* value = std::getenv("STELE_SEED"); value != nullptr && *value != '\0') return std::stoull(value);
  std::random_device device;
  return (std::uint64_t{device()} << 32 | device()) >> 1;
}

}  // namespace stele::testing
