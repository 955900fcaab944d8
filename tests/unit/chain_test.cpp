// Tamper evidence: every way of changing the past that is told, and what it is told as.
#include "stele/chain.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "canonical_json.h"
#include "error_of.h"
#include "memory_store.h"
#include "sha256.h"
#include "stele/driver/content_hash.h"

namespace stele {
namespace {

using std::string;

Uuid uuid(int number) {
  Uuid::Bytes bytes{};
  bytes[0] = 1;
  bytes[14] = static_cast<std::uint8_t>(number >> 8);
  bytes[15] = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

// --- RFC 8785

TEST(Rfc8785, WritesWhatTheRfcShows) {
  // Section 3.2.2 and 3.2.3, without the control characters that no Json may hold.
  EXPECT_EQ(
      Json(
          R"({"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]})")
          .rfc8785(),
      "{\"literals\":[null,true,false],\"numbers\":[333333333.33333329,1e+30,4.5,0.002,1e-27],\"string\":"
      "\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  EXPECT_EQ(
      Json(
          R"({"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"})")
          .rfc8785(),
      "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\",\"\xC3\xB6\":\"Latin Small Letter O With "
      "Diaeresis\",\"\xE2\x82\xAC\":\"Euro Sign\",\"\xF0\x9F\x98\x80\":\"Emoji: Grinning "
      "Face\",\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

TEST(Rfc8785, LaysNumbersOutAsEcmaScriptDoes) {
  for (const auto& [number, text] : std::vector<std::pair<string, string>>{
           // Appendix B, the shortest spellings of doubles.
           {"0", "0"},
           {"-0", "0"},
           {"-0.0e5", "0"},
           {"5e-324", "5e-324"},
           {"-5e-324", "-5e-324"},
           {"1.7976931348623157e307", "1.7976931348623157e+307"},
           {"9007199254740992", "9007199254740992"},
           {"-9007199254740992", "-9007199254740992"},
           {"295147905179352830000", "295147905179352830000"},
           {"9.999999999999997e22", "9.999999999999997e+22"},
           {"1e+23", "1e+23"},
           {"1.0000000000000001e+23", "1.0000000000000001e+23"},
           {"999999999999999700000", "999999999999999700000"},
           {"999999999999999900000", "999999999999999900000"},
           {"1e21", "1e+21"},
           {"9.999999999999997e-7", "9.999999999999997e-7"},
           {"0.000001", "0.000001"},
           {"1e-6", "0.000001"},
           {"1e-7", "1e-7"},
           {"333333333.3333332", "333333333.3333332"},
           {"-0.0000033333333333333333", "-0.0000033333333333333333"},
           {"1424953923781206.2", "1424953923781206.2"},
           {"100", "100"},
           {"1E2", "100"},
           {"1.50", "1.5"},
           {"12345678901234567", "12345678901234567"},
           {"0.1e1", "1"},
           {"1e20", "100000000000000000000"},
           {"123456789012345", "123456789012345"},
           {"1234567890123456", "1234567890123456"},
           {"10", "10"},
           // Beyond doubles: every digit stays.
           {"9007199254740993", "9007199254740993"},
           {"123456789012345678901234567890", "1.2345678901234567890123456789e+29"},
           {"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"}}) {
    string out;
    detail::append_rfc8785_number(number, out);
    EXPECT_EQ(out, text) << number;
    string again;
    detail::append_rfc8785_number(out, again);
    EXPECT_EQ(again, out);
  }
}

TEST(Rfc8785, SortsByUtf16) {
  EXPECT_TRUE(detail::utf16_less("\xF0\x90\x80\x80", "\xEE\x80\x80"));  // U+10000, U+E000
  EXPECT_FALSE(detail::utf16_less("\xEE\x80\x80", "\xF0\x90\x80\x80"));
  EXPECT_TRUE(detail::utf16_less("\xED\x9F\xBF", "\xF0\x90\x80\x80"));  // U+D7FF
  EXPECT_TRUE(detail::utf16_less("a", "ab"));
  EXPECT_FALSE(detail::utf16_less("a", "a"));
  EXPECT_FALSE(detail::utf16_less("ab", "a"));
  EXPECT_TRUE(detail::utf16_less("x\xEF\xBF\xBF",
                                 "x\xEF\xBF\xBF"
                                 "a"));
}

// --- Content

RecordedEvent full_event() {
  RecordedEvent event;
  event.type = "Placed";
  event.event_version = 2;
  event.event_id = uuid(1);
  event.stream = StreamKey("acme", "order", "7");
  event.version = Version(1);
  event.position = Position(10);
  event.occurred_at = Timestamp::from_micros(1'500'000);
  event.recorded_at = Timestamp::from_micros(2'000'001);
  event.valid_from = Timestamp::from_micros(0);
  event.valid_to = Timestamp::from_micros(1);
  event.actor = Actor{ActorType::agent, "robot \"1\""};
  event.source = "shop";
  event.channel = Channel::api;
  event.command = CommandKey{"acme", "gate", "r-1"};
  event.idempotency_key = "k";
  event.causation_id = uuid(2);
  event.correlation_id = uuid(3);
  event.redaction_level = RedactionLevel::partial;
  event.contains_secrets = true;
  event.data = Json(R"({"b":1.50,"a":9007199254740993})");
  event.metadata = Json(R"({"m":1})");
  event.policy_context = Json(R"({"p":1})");
  event.model_context = Json(R"({"o":1})");
  event.display = Json(R"({"d":1})");
  event.attributes = {{"\xEF\xBF\xBF", "1"}, {"\xF0\x9F\x98\x80", "2"}, {"a", "3"}};
  return event;
}

TEST(ContentText, IsFixed) {
  EXPECT_EQ(
      content_text(full_event()),
      R"({"actor_id":"robot \"1\"","actor_type":"agent","attributes":{"a":"3",")"
      "\xF0\x9F\x98\x80"
      R"(":"2",")"
      "\xEF\xBF\xBF"
      R"(":"1"},"causation_id":"01000000-0000-0000-0000-000000000002","channel":"api","command_source":"gate","contains_secrets":true,)"
      R"("correlation_id":"01000000-0000-0000-0000-000000000003","data":{"a":9007199254740993,"b":1.5},"display":{"d":1},)"
      R"("event_id":"01000000-0000-0000-0000-000000000001","event_type":"Placed","event_version":2,"format":"stele event 1",)"
      R"("idempotency_key":"k","metadata":{"m":1},"model_context":{"o":1},"occurred_at":"1970-01-01T00:00:01.500Z","policy_context":{"p":1},)"
      R"("redaction_level":"partial","request_id":"r-1","source":"shop","stream_id":"7","stream_type":"order","tenant_id":"acme",)"
      R"("valid_from":"1970-01-01T00:00:00Z","valid_to":"1970-01-01T00:00:00.000001Z"})");
  EXPECT_EQ(content_text(full_event()), Json(content_text(full_event())).rfc8785());
  EXPECT_EQ(content_hash(full_event()), detail::sha256(content_text(full_event())));
  RecordedEvent bare;
  bare.type = "T";
  bare.stream = StreamKey("s", "1");
  EXPECT_EQ(
      content_text(bare),
      R"({"contains_secrets":false,"data":{},"event_id":"00000000-0000-0000-0000-000000000000","event_type":"T","event_version":1,)"
      R"("format":"stele event 1","occurred_at":"1970-01-01T00:00:00Z","redaction_level":"none","stream_id":"1","stream_type":"s","tenant_id":"default"})");
}

TEST(ContentHash, CoversEveryFieldThatNobodyMayChange) {
  const std::vector<std::function<void(RecordedEvent&)>> edits{
      [](auto& e) { e.type += "x"; },
      [](auto& e) { ++e.event_version; },
      [](auto& e) { e.event_id = uuid(9); },
      [](auto& e) { e.stream.tenant = "x"; },
      [](auto& e) { e.stream.type = "x"; },
      [](auto& e) { e.stream.id = "x"; },
      [](auto& e) { e.occurred_at = Timestamp::from_micros(0); },
      [](auto& e) { e.valid_from.reset(); },
      [](auto& e) { e.valid_to.reset(); },
      [](auto& e) { e.actor->id = "x"; },
      [](auto& e) { e.actor->type = ActorType::user; },
      [](auto& e) { e.actor.reset(); },
      [](auto& e) { e.source = "x"; },
      [](auto& e) { e.source.reset(); },
      [](auto& e) { e.channel = Channel::ui; },
      [](auto& e) { e.channel.reset(); },
      [](auto& e) { e.command->request_id = "x"; },
      [](auto& e) { e.command->source = "x"; },
      [](auto& e) { e.command.reset(); },
      [](auto& e) { e.idempotency_key = "x"; },
      [](auto& e) { e.causation_id = uuid(9); },
      [](auto& e) { e.correlation_id.reset(); },
      [](auto& e) { e.redaction_level = RedactionLevel::none; },
      [](auto& e) { e.contains_secrets = false; },
      [](auto& e) { e.data = Json(R"({"b":1.51,"a":9007199254740993})"); },
      [](auto& e) { e.data = Json(R"({"b":1.5,"a":9007199254740992})"); },
      [](auto& e) { e.metadata.reset(); },
      [](auto& e) { e.metadata = Json("{}"); },
      [](auto& e) { e.policy_context.reset(); },
      [](auto& e) { e.model_context.reset(); },
      [](auto& e) { e.display.reset(); },
      [](auto& e) { e.attributes["a"] = "4"; },
      [](auto& e) { e.attributes.erase("a"); },
      [](auto& e) { std::swap(e.metadata, e.display); }};
  std::map<ChainHash, std::size_t> seen{{content_hash(full_event()), 0}};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    RecordedEvent event = full_event();
    edits[i](event);
    EXPECT_TRUE(seen.emplace(content_hash(event), i + 1).second) << "edit " << i;
  }
  // What a database may spell in another way, and what the link covers, is left out.
  RecordedEvent same = full_event();
  same.data = Json(R"( {"a": 9007199254740993, "b": 15e-1} )");
  same.position = Position(99);
  same.version = Version(5);
  same.recorded_at = Timestamp::from_micros(7);
  EXPECT_EQ(content_hash(same), content_hash(full_event()));
}

TEST(ContentHash, IsTheSameBeforeAndAfterRecording) {
  EventStore store = testing::memory_store();
  AppendRequest request;
  NewEvent event;
  static_cast<EventFields&>(event) = full_event();
  event.causation_id.reset();
  event.source.reset();
  event.channel.reset();
  event.event_id = uuid(1);
  event.occurred_at = Timestamp::from_micros(1'500'000);
  request.streams.push_back({StreamKey("acme", "order", "7"), ExpectedVersion::any(), {event}});
  request.command = Command{.key = {"acme", "gate", "r-1"},
                            .type = "Place",
                            .command_id = uuid(9),
                            .stream = {},
                            .actor = {},
                            .channel = Channel::webhook,
                            .data = {}};
  ASSERT_TRUE(store.append(request).ok());
  const std::optional<RecordedEvent> stored = store.find_event(uuid(1));
  ASSERT_TRUE(stored);

  driver::PreparedAppend prepared;
  prepared.command = driver::PreparedCommand{.command = &*request.command,
                                             .command_id = uuid(9),
                                             .command_id_given = true,
                                             .stream = nullptr,
                                             .fingerprint = {}};
  driver::PreparedStream stream{&request.streams[0].stream, ExpectedVersion::any(), {}};
  const driver::PreparedEvent before{.event = &request.streams[0].events[0],
                                     .event_id = uuid(1),
                                     .event_id_given = true,
                                     .occurred_at = *event.occurred_at,
                                     .occurred_at_given = true,
                                     .source = &request.command->key.source,
                                     .channel = Channel::webhook,
                                     .causation_id = uuid(9),
                                     .causation_id_given = false};
  EXPECT_EQ(driver::content_hash(prepared, stream, before), content_hash(*stored));
  prepared.command.reset();
  EXPECT_NE(driver::content_hash(prepared, stream, before), content_hash(*stored));
}

TEST(ChainLink, IsWhatSqlMakesOfItsBytes) {
  string bytes(32, '\0');
  bytes += string("\0\0\0\0\0\0\0\1", 8) + string("\0\0\0\0\0\x1E\x84\x81", 8) + string("\0\0\0\0\0\0\0\x0A", 8);
  const ChainHash content = detail::sha256("content");
  bytes.append(reinterpret_cast<const char*>(content.data()), 32);
  EXPECT_EQ(chain_link({}, Version(1), Timestamp::from_micros(2'000'001), Position(10), content),
            detail::sha256(bytes));
  EXPECT_EQ(to_hex(chain_link({}, Version(1), Timestamp::from_micros(2'000'001), Position(10), content)),
            "4ed8fbd7f7f14a4eb5c6455b4556c94795c9ea4576c41432983eec8d3edb42c3");
  // Before 1970 the number is negative.
  bytes.replace(40, 8, string(8, '\xFF'));
  EXPECT_EQ(chain_link({}, Version(1), Timestamp::from_micros(-1), Position(10), content), detail::sha256(bytes));
  EXPECT_EQ(parse_chain_hash(to_hex(content)), content);
  EXPECT_EQ(parse_chain_hash(to_hex(content).substr(1)), std::nullopt);
  EXPECT_EQ(parse_chain_hash(string(64, 'g')), std::nullopt);
}

// --- A stream's chain

struct Row {
  RecordedEvent event;
  ChainHash content, link;
};

std::vector<Row> chain(int length) {
  std::vector<Row> rows;
  ChainHash previous{};
  for (int i = 1; i <= length; ++i) {
    Row row;
    row.event.stream = StreamKey("order", "7");
    row.event.type = "Happened";
    row.event.event_id = uuid(i);
    row.event.version = Version(i);
    row.event.position = Position(10 * i);
    row.event.recorded_at = Timestamp::from_micros(1000 * i);
    row.event.data = Json("{\"n\":" + std::to_string(i) + "}");
    row.content = content_hash(row.event);
    row.link = chain_link(previous, row.event.version, row.event.recorded_at, row.event.position, row.content);
    previous = row.link;
    rows.push_back(row);
  }
  return rows;
}

ChainHead head_of(const std::vector<Row>& rows) {
  return {rows.back().event.version, rows.back().link};
}

/// In the order of versions, as a database gives them.
std::optional<ChainFault> verify(std::vector<Row> rows, std::optional<ChainHead> head = {}, ChainHead from = {}) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.event.version < b.event.version; });
  StreamChainVerifier verifier(StreamKey("order", "7"), from);
  for (const Row& row : rows) {
    if (!verifier.feed(row.event, row.content, row.link)) break;
  }
  return verifier.finish(head);
}

/// "kind version".
string told(const std::optional<ChainFault>& fault) {
  if (!fault) return "nothing";
  EXPECT_FALSE(fault->what.empty());
  EXPECT_EQ(fault->stream, StreamKey("order", "7"));
  return string(to_string(fault->kind)) + " " + std::to_string(fault->version.value());
}

TEST(StreamChain, IsRightWhenNothingWasDone) {
  const std::vector<Row> rows = chain(20);
  EXPECT_EQ(told(verify(rows)), "nothing");
  EXPECT_EQ(told(verify(rows, head_of(rows))), "nothing");
  EXPECT_EQ(told(verify({})), "nothing");
  // Goes on where an earlier look ended.
  const std::vector<Row> rest(rows.begin() + 12, rows.end());
  EXPECT_EQ(told(verify(rest, head_of(rows), {Version(12), rows[11].link})), "nothing");
  EXPECT_NE(told(verify(rest, {}, {Version(12), rows[10].link})), "nothing");
}

TEST(StreamChain, NamesWhatWasChanged) {
  const std::vector<Row> rows = chain(20);
  for (const std::size_t at : {std::size_t{0}, std::size_t{7}, std::size_t{19}}) {
    const string wanted = "changed " + std::to_string(at + 1);
    const auto changed = [&](auto edit) {
      std::vector<Row> tampered = rows;
      edit(tampered[at]);
      EXPECT_EQ(told(verify(tampered)), wanted);
      return verify(tampered);
    };
    const auto fault = changed([](Row& r) { r.event.data = Json(R"({"n":-1})"); });
    EXPECT_EQ(fault->event_id, uuid(static_cast<int>(at) + 1));
    EXPECT_EQ(fault->position, rows[at].event.position);
    changed([](Row& r) { r.event.type = "x"; });
    changed([](Row& r) { r.event.event_id = uuid(999); });
    changed([](Row& r) { r.event.recorded_at = Timestamp::from_micros(1); });
    changed([](Row& r) { r.event.position = Position(r.event.position.value() + 1); });
    changed([](Row& r) { r.content[5] ^= 1; });
    changed([](Row& r) { r.link[5] ^= 1; });
    changed([](Row& r) {
      r.event.data = Json(R"({"n":-1})");
      r.content = content_hash(r.event);
    });
    changed([](Row& r) { r.event.stream.id = "8"; });
    changed([&](Row& r) {  // The link as well: the next one tells.
      r.event.data = Json(R"({"n":-1})");
      r.content = content_hash(r.event);
      r.link[0] ^= 1;
    });
  }
}

TEST(StreamChain, ALinkThatWasMadeAnewShowsAtTheNextEvent) {
  std::vector<Row> rows = chain(20);
  const ChainHead head = head_of(rows);
  const auto remake = [&](std::size_t at) {
    Row& r = rows[at];
    r.link = chain_link(rows[at - 1].link, r.event.version, r.event.recorded_at, r.event.position, r.content);
  };
  rows[7].event.data = Json(R"({"n":-1})");
  rows[7].content = content_hash(rows[7].event);
  remake(7);
  EXPECT_EQ(told(verify(rows)), "changed 9");
  // Made anew to the end, only the head, or a checkpoint, tells.
  for (std::size_t i = 8; i < rows.size(); ++i) remake(i);
  EXPECT_EQ(told(verify(rows)), "nothing");
  EXPECT_EQ(told(verify(rows, head)), "changed 20");
}

TEST(StreamChain, NamesWhatWasRemoved) {
  const std::vector<Row> rows = chain(20);
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{7}, std::size_t{20 - 3}}) {
      std::vector<Row> tampered = rows;
      const auto first = tampered.begin() + static_cast<std::ptrdiff_t>(at);
      tampered.erase(first, first + static_cast<std::ptrdiff_t>(count));
      const bool tail = tampered.size() == at;
      EXPECT_EQ(told(verify(tampered, head_of(rows))), "removed " + std::to_string(at + 1));
      if (tail) {
        EXPECT_EQ(told(verify(tampered)), "nothing");  // Only the head tells.
        continue;
      }
      // With the versions behind numbered anew.
      for (std::size_t i = at; i < tampered.size(); ++i)
        tampered[i].event.version = Version(static_cast<std::int64_t>(i) + 1);
      if (tampered.size() - at > 1) {
        EXPECT_EQ(told(verify(tampered)), "removed " + std::to_string(at + 1)) << at << " " << count;
      } else {
        EXPECT_EQ(told(verify(tampered)), "changed " + std::to_string(at + 1));
      }
    }
  }
}

TEST(StreamChain, NamesWhatWasInserted) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{7}, std::size_t{19}}) {
    for (const bool own_hash : {true, false}) {
      std::vector<Row> rows = chain(20);
      Row forged = rows[at];
      forged.event.event_id = uuid(500);
      forged.event.data = Json(R"({"forged":true})");
      if (own_hash) {
        forged.content = content_hash(forged.event);
        const ChainHash previous = at == 0 ? ChainHash{} : rows[at - 1].link;
        forged.link[3] ^= 1;
        static_cast<void>(previous);
      }
      forged.event.position = Position(rows[at].event.position.value() - 5);
      for (std::size_t i = at; i < rows.size(); ++i) rows[i].event.version = Version(static_cast<std::int64_t>(i) + 2);
      rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(at), forged);
      const auto fault = verify(rows);
      EXPECT_EQ(told(fault), "inserted " + std::to_string(at + 1));
      EXPECT_EQ(fault->event_id, uuid(500));
    }
  }
  // Behind the end, with a link that is right: the head tells.
  const std::vector<Row> rows = chain(20);
  EXPECT_EQ(told(verify(chain(21), head_of(rows))), "inserted 21");
}

TEST(StreamChain, NamesWhatWasReordered) {
  for (const auto& [a, b] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {6, 7}, {6, 9}, {18, 19}}) {
    const string wanted = "reordered " + std::to_string(a + 1);
    std::vector<Row> rows = chain(20);
    std::swap(rows[a].event.version, rows[b].event.version);
    EXPECT_EQ(told(verify(rows)), wanted) << "versions " << a << " " << b;
    std::swap(rows[a].event.position, rows[b].event.position);
    EXPECT_EQ(told(verify(rows)), wanted) << "versions and positions " << a << " " << b;
    rows = chain(20);
    std::swap(rows[a].event.event_id, rows[b].event.event_id);
    std::swap(rows[a].event.data, rows[b].event.data);
    EXPECT_EQ(told(verify(rows)), wanted) << "contents " << a << " " << b;
  }
  // Fed by position, two whose positions were exchanged come in the wrong order.
  std::vector<Row> rows = chain(5);
  StreamChainVerifier verifier(StreamKey("order", "7"));
  for (const std::size_t i : {0U, 1U, 3U, 2U, 4U}) verifier.feed(rows[i].event, rows[i].content, rows[i].link);
  EXPECT_EQ(told(verifier.finish()), "reordered 4");
}

TEST(StreamChain, LooksNoFurtherThanItNeeds) {
  std::vector<Row> rows = chain(40);
  rows[3].event.data = Json("[]");
  StreamChainVerifier verifier(StreamKey("order", "7"));
  int fed = 0;
  for (const Row& row : rows) {
    ++fed;
    if (!verifier.feed(row.event, row.content, row.link)) break;
  }
  EXPECT_LT(fed, 15);
  EXPECT_EQ(verifier.good().version, Version(3));
  EXPECT_EQ(told(verifier.finish()), "changed 4");
}

// --- Seals and checkpoints

LogSeal seal(const std::vector<Row>& rows, const LogSeal* previous, Position to) {
  LogSealBuilder builder(previous);
  for (const Row& row : rows) {
    if (row.event.position <= to && (previous == nullptr || row.event.position > previous->to))
      builder.add(row.event.position, row.link);
  }
  return builder.finish(to);
}

TEST(LogSeals, TellWhatTheirRangeLost) {
  const std::vector<Row> rows = chain(20);
  const LogSeal first = seal(rows, nullptr, Position(100));
  const LogSeal second = seal(rows, &first, Position(205));
  EXPECT_EQ(first.events, 10);
  EXPECT_EQ(second.number, 2);
  EXPECT_EQ(second.after, Position(100));
  EXPECT_EQ(to_hex(first.hash), "35f29a8d47e80b5fe8e6a968360781747ac6868281ee32f7dbe6065e73153492");
  EXPECT_EQ(compare_seals(first, seal(rows, nullptr, Position(100))), std::nullopt);

  const auto told_of = [](const std::optional<ChainFault>& fault) {
    return fault ? string(to_string(fault->kind)) + " " + std::to_string(fault->position.value()) : "nothing";
  };
  std::vector<Row> tampered = rows;
  tampered.erase(tampered.begin() + 12);
  EXPECT_EQ(told_of(compare_seals(second, seal(tampered, &first, second.to))), "removed 101");
  EXPECT_TRUE(testing::contains(compare_seals(second, seal(tampered, &first, second.to))->what,
                                "positions 101 to 205, seal 2: 1 of 10 events are missing"));
  tampered = rows;
  tampered.insert(tampered.begin() + 13, tampered[12]);
  tampered[13].event.position = Position(131);
  EXPECT_EQ(told_of(compare_seals(second, seal(tampered, &first, second.to))), "inserted 101");
  tampered = rows;
  tampered[12].link[0] ^= 1;
  EXPECT_EQ(told_of(compare_seals(second, seal(tampered, &first, second.to))), "changed 101");
  tampered = rows;
  tampered[12].event.position = Position(131);
  EXPECT_EQ(told_of(compare_seals(second, seal(tampered, &first, second.to))), "changed 101");
  // A seal made anew shows in the one behind it.
  LogSeal forged = first;
  forged.hash[0] ^= 1;
  EXPECT_EQ(told_of(compare_seals(second, seal(rows, &forged, second.to))), "changed 101");
  forged = first;
  forged.to = Position(101);
  EXPECT_TRUE(compare_seals(second, seal(rows, &forged, second.to)));

  LogSealBuilder builder(&first);
  EXPECT_ERROR(builder.add(Position(100), {}), ErrorCode::invalid_argument, "does not follow 100");
  builder.add(Position(150), {});
  EXPECT_ERROR(builder.add(Position(150), {}), ErrorCode::invalid_argument, "does not follow 150");
  EXPECT_ERROR(builder.finish(Position(149)), ErrorCode::invalid_argument, "ends before");
  EXPECT_EQ(LogSealBuilder().finish(Position(0)).events, 0);
}

Checkpoint checkpoint() {
  const LogSeal made = seal(chain(20), nullptr, Position(200));
  return {"orders \"eu\"", Timestamp::from_micros(5), 9'007'199'254'740'993, made.number, made.to, made.hash};
}

TEST(Checkpoints, AreReadAsTheyWereWritten) {
  const string line = to_json_line(checkpoint());
  EXPECT_EQ(line, Json(line).rfc8785());
  EXPECT_EQ(parse_checkpoint(line), checkpoint());
  EXPECT_TRUE(testing::contains(line, R"("events":"9007199254740993","format":"stele checkpoint 1")"));
  for (const auto& [text, words] : std::vector<std::pair<string, string>>{
           {"{}", "\"format\": has to be a string"},
           {"{", ""},
           {string(line).replace(line.find("checkpoint 1"), 12, "checkpoint 2"), "\"format\": is not known"},
           {string(line).replace(line.find("\"200\""), 5, "200"), "\"position\": has to be a string"},
           {string(line).replace(line.find("\"200\""), 5, "\"2x0\""), "\"position\": has to be a whole number"},
           {string(line).replace(line.find("\"store\""), 7, "\"Store\""), "\"store\": has to be a string"},
           {string(line).insert(1, "\"a\":1,"), "fields that are not known"},
           {string(line).replace(line.find("seal_hash") + 12, 1, "g"), "64 hexadecimal digits"}}) {
    EXPECT_ERROR(parse_checkpoint(text), ErrorCode::invalid_argument, words);
  }
}

TEST(Checkpoints, TellALogThatWasCutOrMadeAnew) {
  const LogSeal made = seal(chain(20), nullptr, Position(200));
  EXPECT_EQ(compare_checkpoint(checkpoint(), &made), std::nullopt);
  EXPECT_EQ(compare_checkpoint(checkpoint(), nullptr)->kind, ChainFault::Kind::removed);
  LogSeal other = made;
  other.hash[31] ^= 1;
  EXPECT_EQ(compare_checkpoint(checkpoint(), &other)->kind, ChainFault::Kind::changed);
  other = made;
  other.to = Position(199);
  EXPECT_EQ(compare_checkpoint(checkpoint(), &other)->kind, ChainFault::Kind::changed);
}

/// A new key, private and public, in PEM.
std::pair<string, string> new_key(const char* type) {
  EVP_PKEY* key = string(type) == "RSA" ? EVP_PKEY_Q_keygen(nullptr, nullptr, type, std::size_t{2048})
                                        : EVP_PKEY_Q_keygen(nullptr, nullptr, type);
  const auto pem = [&](auto write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    string text(bytes, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  };
  std::pair<string, string> pems{
      pem([&](BIO* bio) { PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); }),
      pem([&](BIO* bio) { PEM_write_bio_PUBKEY(bio, key); })};
  EVP_PKEY_free(key);
  return pems;
}

TEST(Checkpoints, AreSignedAside) {
  const auto [secret, open] = new_key("ED25519");
  const string line = to_json_line(checkpoint());
  const string signature = sign(line, secret);
  EXPECT_NO_THROW(check_signature(line, signature, open));
  EXPECT_NO_THROW(check_signature(line, signature + "\n", open));
  EXPECT_ERROR(check_signature(line + " ", signature, open), ErrorCode::tampered, "not this key's");
  string changed = signature;
  changed[0] = changed[0] == 'A' ? 'B' : 'A';
  for (const string& wrong : {changed, signature.substr(4), string(), string("x")}) {
    EXPECT_ERROR(check_signature(line, wrong, open), ErrorCode::tampered, "not this key's");
  }
  EXPECT_ERROR(check_signature(line, signature, new_key("ED25519").second), ErrorCode::tampered, "not this key's");
  EXPECT_ERROR(check_signature(line, signature, secret), ErrorCode::invalid_argument, "public key: is no Ed25519 key");
  EXPECT_ERROR(sign(line, open), ErrorCode::invalid_argument, "private key: is no Ed25519 key");
  EXPECT_ERROR(sign(line, new_key("RSA").first), ErrorCode::invalid_argument, "private key: is no Ed25519 key");
  EXPECT_ERROR(sign(line, ""), ErrorCode::invalid_argument, "private key");
}

}  // namespace
}  // namespace stele
