// Places in documents, and what a reader is shown.
#include "stele/redaction.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "error_of.h"
#include "json_places.h"

namespace stele {
namespace {

using std::string;

string masked(const string& json, std::vector<string> pointers, std::string_view with = "null") {
  return mask(Json(json), JsonPointers(std::move(pointers)), with).text();
}

TEST(Mask, ReplacesWhatPointersNameAndTouchesNothingElse) {
  const string document =
      "{ \"b\" : 123456789012345678901234567890.10 ,\n \"a\":[ 1.0 , \"x\\u00e9\\\"\" , {\"n\" : null,\"m\":[ ]} ], "
      "\"\": -0e5, "
      "\"x/y~z\" : true,\"*\":7 }";
  EXPECT_EQ(masked(document, {}), document);
  EXPECT_EQ(masked(document, {"/none", "/b/c", "/a/3", "/a/01", "/a/-", "/a/-1", "/a/1/0"}), document);
  EXPECT_EQ(masked(document, {"/b"}),
            "{ \"b\" : null ,\n \"a\":[ 1.0 , \"x\\u00e9\\\"\" , {\"n\" : null,\"m\":[ ]} ], \"\": -0e5, "
            "\"x/y~z\" : true,\"*\":7 }");
  EXPECT_EQ(
      masked(document, {"/a/1", "/x~1y~0z", "/"}, "\"*\""),
      "{ \"b\" : 123456789012345678901234567890.10 ,\n \"a\":[ 1.0 , \"*\" , {\"n\" : null,\"m\":[ ]} ], \"\": \"*\", "
      "\"x/y~z\" : \"*\",\"*\":7 }");
  EXPECT_EQ(masked(document, {"/a/2/n", "/a/2/m"}, "0"),
            "{ \"b\" : 123456789012345678901234567890.10 ,\n \"a\":[ 1.0 , \"x\\u00e9\\\"\" , {\"n\" : 0,\"m\":0} ], "
            "\"\": -0e5, "
            "\"x/y~z\" : true,\"*\":7 }");
  EXPECT_EQ(masked(document, {""}, "{}"), "{}");
  EXPECT_EQ(masked("  [1, 2] ", {""}, "[]"), "  [] ");
}

TEST(Mask, AStarIsEveryElementAndEveryMember) {
  EXPECT_EQ(masked(R"([{"a":1,"b":2},{"a":3},4,[5]])", {"/*/a"}), R"([{"a":null,"b":2},{"a":null},4,[5]])");
  EXPECT_EQ(masked(R"({"x":{"a":1},"y":{"a":2}})", {"/*/a"}), R"({"x":{"a":null},"y":{"a":null}})");
  EXPECT_EQ(masked(R"([1,[2,3],{}])", {"/*"}), "[null,null,null]");
  EXPECT_EQ(masked(R"([[1,2],[3,4]])", {"/*/1", "/0/*"}), "[[null,null],[3,null]]");
  EXPECT_EQ(masked(R"({"*":1,"a":2})", {"/*"}), R"({"*":null,"a":null})");
}

TEST(Mask, TheOuterOfTwoPlacesCounts) {
  EXPECT_EQ(masked(R"({"a":{"b":1},"c":2})", {"/a/b", "/a"}, "0"), R"({"a":0,"c":2})");
  EXPECT_EQ(masked(R"({"a":{"b":1},"c":2})", {"", "/a"}, "[]"), "[]");
}

TEST(Mask, NamesAndIndexesAreNotMixedUp) {
  EXPECT_EQ(masked(R"({"0":{"0":1},"a":[5]})", {"/0/0", "/a/0"}), R"({"0":{"0":null},"a":[null]})");
  EXPECT_EQ(masked(R"({"a\u0062":1})", {"/ab"}), R"({"a\u0062":null})");
}

TEST(Mask, RefusesWhatIsNoPointerOrNoValue) {
  for (const char* pointer : {"a", "/a~", "/a~2", "#/a"}) {
    EXPECT_ERROR(JsonPointers({string(pointer)}), ErrorCode::invalid_argument, "pointer \"" + string(pointer));
  }
  string deep;
  for (int i = 0; i < 101; ++i) deep += "/a";
  EXPECT_ERROR(JsonPointers({deep}), ErrorCode::invalid_argument, "more tokens");
  EXPECT_ERROR(JsonPointers({string("/\xC3")}), ErrorCode::invalid_argument, "UTF-8");
  for (const char* value : {"", "nul", "1 2", "{", "'x'", R"({"a":1,"a":2})"}) {
    EXPECT_ERROR(masked("{}", {"/a"}, value), ErrorCode::invalid_argument, "");
  }
  EXPECT_ERROR(masked("{}", {""}, "null"), ErrorCode::invalid_argument, "has to stay an object or an array");
}

TEST(JsonPlaces, FindsObjectsByAMember) {
  detail::JsonTree::Rules rules;
  const string text = R"({"a":{"$x":1,"b":{"$x":2}},"c":[3,{"$x":[]}],"d":"$x","e":{"$X":1}})";
  const detail::JsonTree tree(text, rules);
  std::vector<string> found;
  for (const detail::JsonPlace& place : detail::find_objects_with(tree, "$x")) {
    found.push_back(place.pointer + " " + text.substr(place.begin, place.end - place.begin));
  }
  EXPECT_EQ(found, (std::vector<string>{R"(/a {"$x":1,"b":{"$x":2}})", R"(/c/1 {"$x":[]})"}));
}

// --- Clearances

TEST(Clearance, HasNames) {
  for (const Clearance clearance : {Clearance::none, Clearance::partial, Clearance::full, Clearance::secrets}) {
    EXPECT_EQ(parse_clearance(to_string(clearance)), clearance);
  }
  EXPECT_EQ(parse_clearance("Full"), std::nullopt);
}

TEST(Clearance, DecidesByItsTable) {
  using enum Exposure;
  struct Row {
    RedactionLevel level;
    bool secrets, named;
    Exposure none, partial, full, all;
  };
  for (const Row& row : {
           Row{RedactionLevel::none, false, true, clear, clear, clear, clear},
           Row{RedactionLevel::none, false, false, clear, clear, clear, clear},
           Row{RedactionLevel::partial, false, true, masked, clear, clear, clear},
           Row{RedactionLevel::partial, false, false, withheld, clear, clear, clear},
           Row{RedactionLevel::full, false, true, withheld, masked, clear, clear},
           Row{RedactionLevel::full, false, false, withheld, withheld, clear, clear},
           Row{RedactionLevel::none, true, true, withheld, withheld, withheld, clear},
           Row{RedactionLevel::partial, true, true, withheld, withheld, withheld, clear},
           Row{RedactionLevel::full, true, false, withheld, withheld, withheld, clear},
       }) {
    EXPECT_EQ(exposure(Clearance::none, row.level, row.secrets, row.named), row.none);
    EXPECT_EQ(exposure(Clearance::partial, row.level, row.secrets, row.named), row.partial);
    EXPECT_EQ(exposure(Clearance::full, row.level, row.secrets, row.named), row.full);
    EXPECT_EQ(exposure(Clearance::secrets, row.level, row.secrets, row.named), row.all);
  }
  EXPECT_EQ(exposure(Clearance::full, static_cast<RedactionLevel>(77), false, true), withheld);
}

RecordedEvent sensitive(RedactionLevel level) {
  RecordedEvent event;
  event.stream = StreamKey("person", "1");
  event.type = "Registered";
  event.redaction_level = level;
  event.data = Json(R"({"name":"MARKER","city":"Delft","ids":["MARKER",7.10]})");
  event.metadata = Json(R"({"m":"MARKER"})");
  event.policy_context = Json(R"({"p":"MARKER"})");
  event.model_context = Json(R"({"o":"MARKER"})");
  event.display = Json(R"({"d":"MARKER"})");
  event.attributes = {{"city", "Delft"}};
  return event;
}

bool shows_marker(const RecordedEvent& event) {
  for (const std::optional<Json>& json :
       {std::optional<Json>(event.data), event.metadata, event.policy_context, event.model_context, event.display}) {
    if (json && json->text().find("MARKER") != string::npos) return true;
  }
  return false;
}

TEST(Redact, WithholdsEverythingThatIsPayload) {
  RecordedEvent event = sensitive(RedactionLevel::full);
  EXPECT_EQ(redact(event, Clearance::none, nullptr), Exposure::withheld);
  EXPECT_FALSE(shows_marker(event));
  EXPECT_EQ(event.data.text(), R"({"$withheld":true})");
  EXPECT_EQ(event.display->text(), R"({"$withheld":true})");
  EXPECT_EQ(event.attributes.size(), 1U);
  EXPECT_EQ(event.type, "Registered");

  event = sensitive(RedactionLevel::none);
  event.metadata.reset();
  event.contains_secrets = true;
  EXPECT_EQ(redact(event, Clearance::full, nullptr), Exposure::withheld);
  EXPECT_FALSE(shows_marker(event));
  EXPECT_FALSE(event.metadata.has_value());  // What is not there does not come to be there.
}

TEST(Redact, MasksTheNamedPlaces) {
  RedactionRules rules{JsonPointers({"/name", "/ids/0"}), true};
  RecordedEvent event = sensitive(RedactionLevel::partial);
  EXPECT_EQ(redact(event, Clearance::none, &rules), Exposure::masked);
  EXPECT_EQ(event.data.text(), R"({"name":{"$withheld":true},"city":"Delft","ids":[{"$withheld":true},7.10]})");
  EXPECT_FALSE(shows_marker(event));

  rules.contexts = false;
  event = sensitive(RedactionLevel::full);
  EXPECT_EQ(redact(event, Clearance::partial, &rules), Exposure::masked);
  EXPECT_EQ(event.display->text(), R"({"d":"MARKER"})");
  EXPECT_NO_THROW(Json(event.data.text()));

  // Rules that name nothing are as good as none.
  const RedactionRules empty;
  event = sensitive(RedactionLevel::partial);
  EXPECT_EQ(redact(event, Clearance::none, &empty), Exposure::withheld);
  EXPECT_FALSE(shows_marker(event));
}

TEST(Redact, LeavesWhatMayBeSeen) {
  RecordedEvent event = sensitive(RedactionLevel::full);
  const RecordedEvent before = event;
  EXPECT_EQ(redact(event, Clearance::full, nullptr), Exposure::clear);
  EXPECT_EQ(event.data, before.data);
  EXPECT_EQ(event.metadata, before.metadata);
}

}  // namespace
}  // namespace stele
