#include "stele/event_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "error_of.h"

namespace stele {
namespace {

using std::string;

Uuid uuid(std::string_view text) {
  return Uuid::parse(text).value();
}

/// Every field set, each to something of its own.
RecordedEvent full_event() {
  RecordedEvent event;
  event.position = Position(17);
  event.stream = StreamKey("acme", "order", "7/8 \"x\"");
  event.version = Version(3);
  event.recorded_at = Timestamp::parse("2026-03-01T08:15:01.000001Z");
  event.event_id = uuid("0191e7c3-9abc-7def-8001-000000000001");
  event.type = "OrderPlaced";
  event.event_version = 2;
  event.occurred_at = Timestamp::parse("2026-03-01T08:15:00.250Z");
  event.valid_from = Timestamp::parse("2026-01-01T00:00:00Z");
  event.valid_to = Timestamp::parse("2027-01-01T00:00:00Z");
  event.actor = Actor{ActorType::agent, "bot-1"};
  event.source = "shop";
  event.channel = Channel::webhook;
  event.command = CommandKey{"acme", "gateway", "r-1"};
  event.idempotency_key = "k-1";
  event.causation_id = uuid("0191e7c3-9abc-7def-8001-000000000002");
  event.correlation_id = uuid("0191e7c3-9abc-7def-8001-000000000003");
  event.redaction_level = RedactionLevel::partial;
  event.contains_secrets = true;
  event.data = Json(string(R"({"total": 12.50, "n":1E+2,"long":0.1000000000000000000000000000001,"t":"\u00e9"})"));
  event.metadata = Json(string(R"({"m":1})"));
  event.policy_context = Json(string(R"({"p":[]})"));
  event.model_context = Json(string(R"({"o":{}})"));
  event.display = Json(string(R"({"d":"\n"})"));
  event.attributes = {{"b \"", "2\\"}, {"a", "1"}};
  return event;
}

/// A line with the required fields and these.
string with(const string& more) {
  return R"({"stream_type":"order","stream_id":"7","event_type":"Placed","data":{})" +
         (more.empty() ? "" : "," + more) + "}";
}

/// A line with the required fields but this one.
string without(std::string_view name) {
  string line = "{";
  for (const auto& [field, value] : {std::pair<std::string_view, std::string_view>("stream_type", "\"order\""),
                                     {"stream_id", "\"7\""},
                                     {"event_type", "\"Placed\""},
                                     {"data", "{}"}}) {
    if (field == name) continue;
    line += (line.size() > 1 ? ",\"" : "\"") + string(field) + "\":" + string(value);
  }
  return line + "}";
}

TEST(EventJson, WritesEveryFieldInOneOrder) {
  EXPECT_EQ(to_json_line(full_event()),
            R"({"global_position":17,"stream_version":3,"recorded_at":"2026-03-01T08:15:01.000001Z",)"
            R"("event_id":"0191e7c3-9abc-7def-8001-000000000001","tenant_id":"acme","stream_type":"order",)"
            R"("stream_id":"7/8 \"x\"","event_type":"OrderPlaced","event_version":2,)"
            R"("occurred_at":"2026-03-01T08:15:00.250Z","valid_from":"2026-01-01T00:00:00Z",)"
            R"("valid_to":"2027-01-01T00:00:00Z","actor_type":"agent","actor_id":"bot-1","source":"shop",)"
            R"("channel":"webhook","request_id":"r-1","command_source":"gateway","idempotency_key":"k-1",)"
            R"("causation_id":"0191e7c3-9abc-7def-8001-000000000002",)"
            R"("correlation_id":"0191e7c3-9abc-7def-8001-000000000003","redaction_level":"partial",)"
            R"("contains_secrets":true,)"
            R"("data":{"total": 12.50, "n":1E+2,"long":0.1000000000000000000000000000001,"t":"\u00e9"},)"
            R"("metadata":{"m":1},"policy_context":{"p":[]},"model_context":{"o":{}},"display":{"d":"\n"},)"
            R"("attributes":{"a":"1","b \"":"2\\"}})");
}

TEST(EventJson, LeavesOutWhatIsAbsent) {
  RecordedEvent event;
  event.position = Position(1);
  event.stream = StreamKey("order", "7");
  event.version = Version(1);
  event.type = "Placed";
  EXPECT_EQ(to_json_line(event),
            R"({"global_position":1,"stream_version":1,"recorded_at":"1970-01-01T00:00:00Z",)"
            R"("event_id":"00000000-0000-0000-0000-000000000000","stream_type":"order","stream_id":"7",)"
            R"("event_type":"Placed","event_version":1,"occurred_at":"1970-01-01T00:00:00Z","data":{}})");
}

TEST(EventJson, WritesTheCommandsSourceOnlyWhereItIsNotTheEvents) {
  RecordedEvent event = full_event();
  event.command->source = "shop";
  EXPECT_FALSE(testing::contains(to_json_line(event), "command_source"));
  event.source.reset();
  EXPECT_TRUE(testing::contains(to_json_line(event), R"("command_source":"shop")"));
}

TEST(EventJson, WritesIntegersThatDoublesCannotHoldAsStrings) {
  RecordedEvent event = full_event();
  event.position = Position(9007199254740991);
  event.version = Version(9007199254740992);
  EXPECT_TRUE(testing::contains(to_json_line(event), R"("global_position":9007199254740991,)"));
  EXPECT_TRUE(testing::contains(to_json_line(event), R"("stream_version":"9007199254740992",)"));
  event.position = Position(std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(testing::contains(to_json_line(event), R"("global_position":"9223372036854775807",)"));
}

TEST(EventJson, IsOneLine) {
  RecordedEvent event = full_event();
  event.data = Json(string("{\n  \"a\":\r\n [1,\n2],\"b\":\"x\\ny\"\n}"));
  event.stream.id = "a\nb\rc\x01\x7F\xE2\x80\xA8";
  const string line = to_json_line(event);
  EXPECT_EQ(line.find_first_of("\r\n"), string::npos) << line;
  EXPECT_TRUE(testing::contains(line, "a\\nb\\rc\\u0001\x7F\xE2\x80\xA8\"")) << line;
  const ImportedEvent read = parse_event_line(line);
  EXPECT_TRUE(json_equal(read.event.data, event.data));
  EXPECT_EQ(read.stream.id, event.stream.id);
}

TEST(EventJson, ReadsWhatItWrites) {
  const RecordedEvent event = full_event();
  const ImportedEvent read = parse_event_line(to_json_line(event));
  EXPECT_EQ(read.stream, event.stream);
  EXPECT_EQ(read.event.event_id, event.event_id);
  EXPECT_EQ(read.event.type, event.type);
  EXPECT_EQ(read.event.event_version, event.event_version);
  EXPECT_EQ(read.event.occurred_at, event.occurred_at);
  EXPECT_EQ(read.event.valid_from, event.valid_from);
  EXPECT_EQ(read.event.valid_to, event.valid_to);
  EXPECT_EQ(read.event.actor, event.actor);
  EXPECT_EQ(read.event.source, event.source);
  EXPECT_EQ(read.event.channel, event.channel);
  EXPECT_EQ(read.event.idempotency_key, event.idempotency_key);
  EXPECT_EQ(read.event.causation_id, event.causation_id);
  EXPECT_EQ(read.event.correlation_id, event.correlation_id);
  EXPECT_EQ(read.event.redaction_level, event.redaction_level);
  EXPECT_EQ(read.event.contains_secrets, event.contains_secrets);
  EXPECT_EQ(read.event.data.text(), event.data.text());  // to the letter
  EXPECT_EQ(read.event.metadata, event.metadata);
  EXPECT_EQ(read.event.policy_context, event.policy_context);
  EXPECT_EQ(read.event.model_context, event.model_context);
  EXPECT_EQ(read.event.display, event.display);
  EXPECT_EQ(read.event.attributes, event.attributes);
  EXPECT_EQ(read.request_id, "r-1");
  EXPECT_EQ(read.command_source, "gateway");
  EXPECT_FALSE(read.command_id);
  EXPECT_EQ(read.command_key(), event.command);
}

TEST(EventJson, ReadsALineWithLittleInIt) {
  const ImportedEvent read = parse_event_line(with(""));
  EXPECT_EQ(read.stream, StreamKey("order", "7"));
  EXPECT_EQ(read.event.type, "Placed");
  EXPECT_EQ(read.event.event_version, 1);
  EXPECT_EQ(read.event.data.text(), "{}");
  EXPECT_FALSE(read.event.event_id);
  EXPECT_FALSE(read.event.occurred_at);
  EXPECT_FALSE(read.event.actor);
  EXPECT_FALSE(read.event.source);
  EXPECT_FALSE(read.event.metadata);
  EXPECT_EQ(read.event.redaction_level, RedactionLevel::none);
  EXPECT_FALSE(read.event.contains_secrets);
  EXPECT_TRUE(read.event.attributes.empty());
  EXPECT_FALSE(read.command_key());
}

TEST(EventJson, NullIsAbsent) {
  const ImportedEvent read = parse_event_line(
      with(R"("tenant_id":null,"event_id":null,"event_version":null,"occurred_at":null,"valid_from":null,)"
           R"("actor_type":null,"actor_id":null,"source":null,"channel":null,"request_id":null,"command_source":null,)"
           R"("command_id":null,"idempotency_key":null,"causation_id":null,"correlation_id":null,)"
           R"("redaction_level":null,"contains_secrets":null,"metadata":null,"display":null,"attributes":null,)"
           R"("global_position":null,"recorded_at":null)"));
  EXPECT_EQ(read.stream.tenant, default_tenant);
  EXPECT_EQ(read.event.event_version, 1);
  EXPECT_FALSE(read.event.event_id);
  EXPECT_FALSE(read.event.actor);
  EXPECT_FALSE(read.event.metadata);
  EXPECT_FALSE(read.command_key());
  for (const string line : {R"({"stream_type":null,"stream_id":"7","event_type":"P","data":{}})",
                            R"({"stream_type":"o","stream_id":"7","event_type":"P","data":null})"}) {
    EXPECT_ERROR(parse_event_line(line), ErrorCode::invalid_argument, "is required");
  }
}

TEST(EventJson, IgnoresWhatIsTheStores) {
  const ImportedEvent read =
      parse_event_line(with(R"("global_position":"9223372036854775807","stream_version":5,"recorded_at":"whenever")"));
  EXPECT_EQ(read.event.type, "Placed");
}

TEST(EventJson, KeepsPayloadsToTheLetter) {
  for (const string payload : {R"({ "b" : 1.0,"a":[1e2 , -0.00]})", R"([1,2])", R"(["\u00e9\/"])",
                               R"({"n":123456789012345678901234567890.10})"}) {
    const ImportedEvent read =
        parse_event_line(R"({"data": )" + payload + R"( ,"stream_type":"order","stream_id":"7","event_type":"P"})");
    EXPECT_EQ(read.event.data.text(), payload);
  }
  EXPECT_EQ(parse_event_line(with(R"("metadata":{ "x" : 1.50 })")).event.metadata->text(), R"({ "x" : 1.50 })");
}

TEST(EventJson, PayloadsMayBeAsDeepAsElsewhere) {
  const auto line = [](std::size_t depth) {
    return R"({"stream_type":"o","stream_id":"7","event_type":"P","data":)" + string(depth, '[') + string(depth, ']') +
           "}";
  };
  EXPECT_EQ(parse_event_line(line(100)).event.data.text().size(), 200U);
  EXPECT_NO_THROW(static_cast<void>(Json(parse_event_line(line(100)).event.data.text())));
  EXPECT_ERROR(parse_event_line(line(101)), ErrorCode::invalid_argument, "nested too deeply");
}

TEST(EventJson, NamesAFieldThatIsMissing) {
  for (const string name : {"stream_type", "stream_id", "event_type", "data"}) {
    EXPECT_ERROR(parse_event_line(without(name)), ErrorCode::invalid_argument, "field \"" + name + "\": is required");
  }
  EXPECT_NO_THROW(parse_event_line(without("nothing")));
}

TEST(EventJson, NamesAFieldThatIsUnknownAndTheNearest) {
  EXPECT_ERROR(parse_event_line(with(R"("colour":"red")")), ErrorCode::invalid_argument,
               "field \"colour\": is unknown");
  EXPECT_ERROR(parse_event_line(with(R"("event_tipe":"x")")), ErrorCode::invalid_argument,
               "did you mean \"event_type\"?");
  EXPECT_ERROR(parse_event_line(with(R"("Source":"x")")), ErrorCode::invalid_argument, "\"Source\"");
  EXPECT_ERROR(parse_event_line(with(R"("colour":null)")), ErrorCode::invalid_argument, "field \"colour\": is unknown");
  EXPECT_ERROR(parse_event_line(with(R"("":1)")), ErrorCode::invalid_argument, "is unknown");
}

TEST(EventJson, NamesAFieldThatComesTwice) {
  EXPECT_ERROR(parse_event_line(with(R"("source":"a","source":"a")")), ErrorCode::invalid_argument,
               "field \"source\": comes twice");
  EXPECT_ERROR(parse_event_line(with(R"("\u0064ata":{})")), ErrorCode::invalid_argument, "field \"data\": comes twice");
  EXPECT_ERROR(parse_event_line(with(R"("metadata":{"a":1,"a":2})")), ErrorCode::invalid_argument,
               "a name comes twice in one object");
  EXPECT_ERROR(parse_event_line(with(R"("attributes":{"a":"1","\u0061":"2"})")), ErrorCode::invalid_argument,
               "a name comes twice in one object");
}

TEST(EventJson, NamesAFieldOfTheWrongType) {
  struct Row {
    string name;
    string value;
    string words;
  };
  for (const Row& row : {
           Row{"tenant_id", "1", "has to be a string, not a number"},
           Row{"source", "true", "has to be a string, not true or false"},
           Row{"source", "{}", "has to be a string, not an object"},
           Row{"request_id", "[]", "has to be a string, not an array"},
           Row{"event_id", "1", "has to be a string, not a number"},
           Row{"event_id", R"("x")", "is not a UUID"},
           Row{"command_id", R"("0191e7c39abc7def8001000000000001")", "is not a UUID"},
           Row{"causation_id", R"("")", "is not a UUID"},
           Row{"correlation_id", R"("")", "is not a UUID"},
           Row{"event_version", R"("1")", "has to be a number, not a string"},
           Row{"event_version", "1.5", "has to be a whole number"},
           Row{"event_version", "1e2", "has to be a whole number"},
           Row{"event_version", "2147483648", "has to be a whole number"},
           Row{"occurred_at", "1772352900", "has to be a string, not a number"},
           Row{"occurred_at", R"("2026-03-01")", "not an RFC 3339 time"},
           Row{"valid_from", R"("2026-02-30T00:00:00Z")", "date does not exist"},
           Row{"valid_to", R"("x")", "not an RFC 3339 time"},
           Row{"actor_type", R"("robot")", "has to be one of user, service, agent, system"},
           Row{"channel", R"("fax")", "has to be one of ui, api, import, webhook, system"},
           Row{"redaction_level", R"("some")", "has to be one of none, partial, full"},
           Row{"contains_secrets", R"("true")", "has to be true or false, not a string"},
           Row{"contains_secrets", "1", "has to be true or false, not a number"},
           Row{"metadata", "[]", "has to be an object, not an array"},
           Row{"policy_context", R"("x")", "has to be an object, not a string"},
           Row{"model_context", "1", "has to be an object, not a number"},
           Row{"display", "false", "has to be an object, not true or false"},
           Row{"attributes", "[]", "has to be an object, not an array"},
           Row{"attributes", R"({"a":1})", "the value of \"a\" has to be a string"},
           Row{"attributes", R"({"a":null})", "the value of \"a\" has to be a string"},
       }) {
    SCOPED_TRACE(row.name + " " + row.value);
    EXPECT_ERROR(parse_event_line(with("\"" + row.name + "\":" + row.value)), ErrorCode::invalid_argument,
                 "field \"" + row.name + "\": ");
    EXPECT_ERROR(parse_event_line(with("\"" + row.name + "\":" + row.value)), ErrorCode::invalid_argument, row.words);
  }
  EXPECT_ERROR(parse_event_line(R"({"stream_type":"o","stream_id":"7","event_type":"P","data":"x"})"),
               ErrorCode::invalid_argument, "field \"data\": has to be an object or an array");
  EXPECT_ERROR(parse_event_line(R"({"stream_type":"o","stream_id":"","event_type":"P","data":{}})"),
               ErrorCode::invalid_argument, "field \"stream_id\": is required and must not be empty");
}

TEST(EventJson, AnActorHasATypeAndAnId) {
  EXPECT_EQ(parse_event_line(with(R"("actor_id":"a","actor_type":"user")")).event.actor, (Actor{ActorType::user, "a"}));
  EXPECT_ERROR(parse_event_line(with(R"("actor_id":"a")")), ErrorCode::invalid_argument,
               "field \"actor_type\": is required");
  EXPECT_ERROR(parse_event_line(with(R"("actor_type":"user")")), ErrorCode::invalid_argument,
               "field \"actor_id\": is required");
}

TEST(EventJson, KnowsTheCommandsKey) {
  const auto key = [](const string& more) { return parse_event_line(with(more)).command_key(); };
  EXPECT_FALSE(key(R"("source":"shop")"));
  EXPECT_EQ(key(R"("source":"shop","request_id":"r")"), (CommandKey{"default", "shop", "r"}));
  EXPECT_EQ(key(R"("source":"shop","request_id":"r","command_source":"gate")"), (CommandKey{"default", "gate", "r"}));
  EXPECT_EQ(key(R"("request_id":"r","command_source":"gate","tenant_id":"acme")"), (CommandKey{"acme", "gate", "r"}));
  EXPECT_ERROR(key(R"("request_id":"r")"), ErrorCode::invalid_argument, "field \"source\": is required");
  EXPECT_ERROR(key(R"("command_source":"gate")"), ErrorCode::invalid_argument, "field \"request_id\": is required");
  EXPECT_ERROR(key(R"("command_id":"0191e7c3-9abc-7def-8001-000000000001")"), ErrorCode::invalid_argument,
               "field \"request_id\": is required");
  const ImportedEvent read =
      parse_event_line(with(R"("source":"s","request_id":"r","command_id":"0191e7c3-9abc-7def-8001-000000000001")"));
  EXPECT_EQ(read.command_id, uuid("0191e7c3-9abc-7def-8001-000000000001"));
}

TEST(EventJson, RefusesALineThatIsNoObject) {
  EXPECT_ERROR(parse_event_line("[]"), ErrorCode::invalid_argument, "has to be an object");
  for (const std::string_view line :
       {std::string_view(), std::string_view("1"), std::string_view("{"), std::string_view("null"),
        std::string_view("{}\0", 3), std::string_view("{} {}")}) {
    EXPECT_ERROR(parse_event_line(line), ErrorCode::invalid_argument, "JSON: ");
  }
  EXPECT_ERROR(parse_event_line(with(R"("source":"\u0000")")), ErrorCode::invalid_argument, "U+0000");
  EXPECT_ERROR(parse_event_line(with("\"source\":\"\xC3\"")), ErrorCode::invalid_argument, "UTF-8");
}

TEST(JsonLines, OfResults) {
  AppendResult result;
  result.streams = {{StreamKey("acme", "order", "7"), Version(1), Version(2), Position(10), Position(11)},
                    {StreamKey("order", "8"), Version(4), Version(3), Position(0), Position(0)}};
  EXPECT_EQ(to_json_line(result),
            R"({"status":"appended","streams":[{"tenant_id":"acme","stream_type":"order","stream_id":"7",)"
            R"("first_version":1,"last_version":2,"first_position":10,"last_position":11},)"
            R"({"stream_type":"order","stream_id":"8","first_version":4,"last_version":3}]})");
  AppendResult conflict;
  conflict.status = AppendStatus::conflict;
  conflict.conflict = VersionConflict{StreamKey("order", "7"), ExpectedVersion::no_stream(), Version(5)};
  EXPECT_EQ(to_json_line(conflict), R"({"status":"conflict","conflict":{"stream_type":"order","stream_id":"7",)"
                                    R"("expected":"none","actual":5}})");
  AppendResult reused;
  reused.status = AppendStatus::request_id_reused;
  reused.detail = "request \"r\"";
  EXPECT_EQ(to_json_line(reused), R"({"status":"request_id_reused","detail":"request \"r\""})");
}

TEST(JsonLines, OfStreamsCommandsAndStats) {
  StreamInfo info{StreamKey("acme", "order", "7"), Version(2), Timestamp(), Timestamp::from_micros(1'000'000)};
  EXPECT_EQ(to_json_line(info), R"({"tenant_id":"acme","stream_type":"order","stream_id":"7","stream_version":2,)"
                                R"("created_at":"1970-01-01T00:00:00Z","last_recorded_at":"1970-01-01T00:00:01Z"})");

  CommandRecord command;
  command.key = {"acme", "shop", "r-1"};
  command.command_id = uuid("0191e7c3-9abc-7def-8001-000000000001");
  command.type = "Place";
  command.stream = StreamKey("acme", "order", "7");
  command.actor = Actor{ActorType::user, "ann"};
  command.channel = Channel::ui;
  command.data = Json(string(R"({"n":1.0})"));
  EXPECT_EQ(to_json_line(command),
            R"({"tenant_id":"acme","source":"shop","request_id":"r-1",)"
            R"("command_id":"0191e7c3-9abc-7def-8001-000000000001","command_type":"Place","stream_type":"order",)"
            R"("stream_id":"7","actor_type":"user","actor_id":"ann","channel":"ui",)"
            R"("recorded_at":"1970-01-01T00:00:00Z","data":{"n":1.0},"streams":[]})");

  StoreStats stats;
  stats.events = 3;
  stats.streams = 2;
  stats.commands = 1;
  stats.last_position = Position(9007199254740993);
  stats.last_recorded_at = Timestamp();
  stats.events_by_type = {{"b", 2}, {"a\"", 1}};
  stats.bytes = 4096;
  EXPECT_EQ(to_json_line(stats),
            R"({"events":3,"streams":2,"commands":1,"last_position":"9007199254740993",)"
            R"("last_recorded_at":"1970-01-01T00:00:00Z","bytes":4096,)"
            R"("events_by_type":[{"event_type":"b","events":2},{"event_type":"a\"","events":1}]})");
}

}  // namespace
}  // namespace stele
