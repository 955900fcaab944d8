// JSON Schema: what a validator refuses, what it says of it, and what it costs.
#include "stele/schema.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "ecma_pattern.h"
#include "error_of.h"
#include "schema_rules.h"
#include "stele/limits.h"
#include "uri_reference.h"

namespace stele {
namespace {

using std::string;

/// Of this thread, in seconds: how busy the machine is does not count.
double processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

SchemaValidator compile(std::string_view schema) {
  return SchemaValidator::compile(schema);
}

bool valid(std::string_view schema, std::string_view document) {
  return compile(schema).check_text(document).empty();
}

/// "pointer|keyword|schema pointer" of each violation.
std::vector<string> places(const SchemaValidator& schema, const string& document, SchemaCheckOptions options = {}) {
  std::vector<string> found;
  for (const SchemaViolation& violation : schema.check(Json(document), options)) {
    EXPECT_FALSE(violation.message.empty());
    found.push_back(violation.pointer + "|" + violation.keyword + "|" + violation.schema_pointer);
  }
  return found;
}

using Places = std::vector<string>;

constexpr std::string_view order_schema = R"({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["order", "lines"],
  "additionalProperties": false,
  "properties": {
    "order": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
    "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/line"}},
    "currency": {"enum": ["EUR", "USD"]}
  },
  "definitions": {
    "line": {"type": "object", "required": ["qty"], "properties": {"qty": {"type": "integer", "minimum": 1}}}
  }
})";

TEST(Schema, TellsWhereAndWhichRule) {
  const SchemaValidator schema = compile(order_schema);
  EXPECT_TRUE(schema.accepts(Json(R"({"order": "NL-1", "lines": [{"qty": 2}], "currency": "EUR"})")));
  EXPECT_EQ(places(schema, "{}"), (Places{"|required|/required", "|required|/required"}));
  EXPECT_EQ(
      places(schema, R"({"order": "nl-1", "lines": [{"qty": 0}, {"qty": 1.5}, {}, 7], "currency": "CHF", "x/y~": 1})"),
      (Places{"/order|pattern|/properties/order/pattern",
              "/lines/0/qty|minimum|/definitions/line/properties/qty/minimum",
              "/lines/1/qty|type|/definitions/line/properties/qty/type", "/lines/2|required|/definitions/line/required",
              "/lines/3|type|/definitions/line/type", "/currency|enum|/properties/currency/enum",
              "/x~1y~0|additionalProperties|/additionalProperties"}));
  const SchemaViolation first = schema.check(Json(R"({"order": "NL-1", "lines": []})")).front();
  EXPECT_EQ(first.to_string(), "/lines: has fewer than 1 elements (schema: /properties/lines/minItems)");
  EXPECT_EQ(schema.check(Json("[]")).front().to_string(), "the whole: is array, has to be object (schema: /type)");
}

TEST(Schema, NeverRepeatsAValue) {
  const SchemaValidator schema = compile(
      R"({"properties": {"a": {"type": "integer", "maxLength": 3, "pattern": "^x$", "enum": ["y"], "const": "z",
          "not": {"type": "string"}, "anyOf": [{"type": "null"}, {"minLength": 99}], "oneOf": [false, false]}}})");
  const auto violations = schema.check(Json(R"({"a": "MARKER-4711"})"));
  EXPECT_GT(violations.size(), 6U);
  for (const SchemaViolation& violation : violations) {
    EXPECT_EQ(violation.to_string().find("MARKER"), string::npos) << violation.to_string();
    EXPECT_EQ(violation.pointer, "/a");
  }
}

TEST(Schema, StopsAtTheBound) {
  const SchemaValidator schema = compile(R"({"items": {"type": "integer", "minimum": 5}})");
  string many = "[";
  for (int i = 0; i < 1000; ++i) many += i == 0 ? "\"x\"" : ",\"x\"";
  many += "]";
  EXPECT_EQ(schema.check(Json(many)).size(), 20U);
  EXPECT_EQ(schema.check(Json(many), {.max_violations = 3}).size(), 3U);
  EXPECT_EQ(schema.check(Json(many), {.max_violations = 0}).size(), 1U);
  EXPECT_EQ(schema.check(Json(many), {.max_violations = 5000}).size(), 1000U);
}

TEST(Schema, ExplainsTheBranchesOfTheOutermostChoice) {
  const SchemaValidator schema = compile(
      R"({"anyOf": [{"required": ["a"]}, {"properties": {"b": {"oneOf": [{"type": "null"}, {"type": "boolean"}]}}, "required": ["b"]}]})");
  EXPECT_EQ(places(schema, R"({"b": 1})"),
            (Places{"|anyOf|/anyOf", "|required|/anyOf/0/required", "/b|oneOf|/anyOf/1/properties/b/oneOf"}));
  EXPECT_EQ(places(compile(R"({"oneOf": [{}, true]})"), "{}"), (Places{"|oneOf|/oneOf"}));
  EXPECT_EQ(places(schema, R"({"b": 1})", {.max_violations = 2}),
            (Places{"|anyOf|/anyOf", "|required|/anyOf/0/required"}));
}

TEST(Schema, CutsLongPointers) {
  const string name(2000, 'n');
  const auto violations = compile(R"({"additionalProperties": {"type": "null"}})").check(Json("{\"" + name + "\":{}}"));
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].pointer, "/" + string(499, 'n') + "…");
}

// --- Numbers

TEST(SchemaNumbers, AreExact) {
  struct Row {
    std::string_view schema, document;
    bool valid;
  };
  for (const Row& row : {
           Row{R"({"minimum": 9007199254740993})", "9007199254740992", false},  // the same as doubles
           Row{R"({"minimum": 9007199254740993})", "9007199254740993", true},
           Row{R"({"minimum": 9007199254740993})", "9007199254740993.0", true},
           Row{R"({"maximum": 0.1})", "0.1000000000000000055511151231257827", false},
           Row{R"({"maximum": 0.1})", "0.10", true},
           Row{R"({"maximum": 0.1})", "1e-1", true},
           Row{R"({"exclusiveMaximum": 0.1})", "0.0999999999999999999999999999999999999", true},
           Row{R"({"exclusiveMaximum": 1e2})", "100", false},
           Row{R"({"exclusiveMinimum": -1e-30})", "-1e-30", false},
           Row{R"({"exclusiveMinimum": -1e-30})", "0", true},
           Row{R"({"minimum": -5})", "-123456789012345678901234567890", false},
           Row{R"({"maximum": 1})", "18446744073709551615", false},
           Row{R"({"maximum": 123456789012345678901234567890})", "123456789012345678901234567891", false},
           Row{R"({"maximum": 123456789012345678901234567890})", "123456789012345678901234567890", true},
           Row{R"({"minimum": 0})", "-0", true},
           Row{R"({"minimum": 0})", "-0.000", true},
           Row{R"({"exclusiveMinimum": 0})", "-0e10", false},
           Row{R"({"multipleOf": 0.01})", "19.99", true},  // of money; with doubles it is none
           Row{R"({"multipleOf": 0.01})", "1234567.01", true},
           Row{R"({"multipleOf": 0.01})", "12345678901234567890123456.78", true},
           Row{R"({"multipleOf": 0.01})", "12345678901234567890123456.785", false},
           Row{R"({"multipleOf": 0.01})", "0.0000000000000001", false},
           Row{R"({"multipleOf": 0.25})", "0.5", true},
           Row{R"({"multipleOf": 0.25})", "1e300", true},
           Row{R"({"multipleOf": 3})", "1e300", false},
           Row{R"({"multipleOf": 3})", "123456789012345678901234567891", false},
           Row{R"({"multipleOf": 3})", "123456789012345678901234567890", true},
           Row{R"({"multipleOf": 7})", "-49", true},
           Row{R"({"multipleOf": 1})", "1.5", false},
           Row{R"({"multipleOf": 1e-5})", "0.00003", true},
           Row{R"({"multipleOf": 999999999999999999})", "999999999999999998000000000000000001", true},
           Row{R"({"multipleOf": 2})", "0", true},
           Row{R"({"type": "integer"})", "123456789012345678901234567890", true},
           Row{R"({"type": "integer"})", "1.0", true},
           Row{R"({"type": "integer"})", "1e3", true},
           Row{R"({"type": "integer"})", "1.5e1", true},
           Row{R"({"type": "integer"})", "1.55e1", false},
           Row{R"({"type": "integer"})", "1e-3", false},
           Row{R"({"enum": [9007199254740993]})", "9007199254740992", false},
           Row{R"({"enum": [1.10]})", "1.1", true},
           Row{R"({"const": 0.1})", "0.1000000000000000055", false},
           Row{R"({"const": {"a": [1e2]}})", R"({"a": [100.0]})", true},
           Row{R"({"uniqueItems": true})", "[9007199254740993, 9007199254740992]", true},
           Row{R"({"uniqueItems": true})", "[1, 2, 1.0]", false},
       }) {
    EXPECT_EQ(valid(row.schema, row.document), row.valid) << row.schema << " " << row.document;
  }
}

TEST(SchemaNumbers, CompareTheSameTheShortAndTheLongWay) {
  const std::vector<string> numbers{"0",
                                    "-0",
                                    "1",
                                    "-1",
                                    "10",
                                    "1e1",
                                    "0.1",
                                    "0.10",
                                    "-0.1",
                                    "1.5",
                                    "15e-1",
                                    "12345",
                                    "123450",
                                    "999999999999999999",
                                    "-999999999999999999",
                                    "0.999999999999999999",
                                    "1000000000000000000",
                                    "1e-18",
                                    "2e18",
                                    "0.000000000000000001",
                                    "99.5",
                                    "100.25",
                                    "100.250"};
  for (const string& a : numbers) {
    for (const string& b : numbers) {
      const detail::Bound bound(b);
      const int slow = detail::compare(detail::parse_decimal(a), bound.exact);
      EXPECT_EQ(detail::compare(a, bound), slow) << a << " and " << b;
      EXPECT_EQ(slow, -detail::compare(detail::parse_decimal(b), detail::parse_decimal(a))) << a << " and " << b;
      const double difference =
          std::stod(a) - std::stod(b);  // Exact enough for these, save the last digits of the long ones.
      if (difference > 1e-10 || difference < -1e-10) {
        EXPECT_EQ(slow, difference > 0 ? 1 : -1) << a << " and " << b;
      }
    }
  }
}

TEST(SchemaNumbers, ADivisorHasAtMost18Digits) {
  EXPECT_ERROR(compile(R"({"multipleOf": 1.000000000000000001})"), ErrorCode::unsupported, "/multipleOf: may have 18");
  EXPECT_NO_THROW(compile(R"({"multipleOf": 1.00000000000000001})"));
}

// --- Strings and patterns

TEST(SchemaPatterns, SearchInLinearTime) {
  for (const char* pattern : {"^(a|a)*$", "^(a+)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"}) {
    const SchemaValidator schema = compile(string(R"({"items": {"pattern": ")") + pattern + "\"}}");
    const string text = "[\"" + string(1 << 20, 'a') + "!\", \"" + string(1 << 20, 'x') + "\"]";
    const double begin = processor_time();
    EXPECT_FALSE(schema.accepts(Json(text))) << pattern;
    EXPECT_LT(processor_time() - begin, 60.0) << pattern;
  }
}

TEST(SchemaPatterns, MatchAsEcmaScriptDoes) {
  struct Row {
    std::string_view pattern, text;
    bool found;
  };
  for (const Row& row : {
           Row{"b+", "abba", true},
           Row{"^b+$", "abba", false},
           Row{"^a$", "a\n", false},  // no line mode
           Row{"^a.c$", "a\nc", false},
           Row{"^a.c$",
               "a\xE2\x80\xA8"
               "c",
               false},  // U+2028 ends a line
           Row{"^a.c$",
               "a\xF0\x9F\x98\x80"
               "c",
               true},  // one character
           Row{R"(^\S+$)", "\xC2\xA0", false},
           Row{R"(^\s$)", "\xC2\xA0", true},
           Row{R"(^[\s]$)", "\xE3\x80\x80", true},
           Row{R"(^[\S]$)", "\xE3\x80\x80", false},
           Row{R"(^[\S]$)", "\xC3\xA9", true},
           Row{R"(^[^\s]$)", "x", true},
           Row{R"(^\d$)", "\xDB\xB1", false},  // ASCII only
           Row{R"(^\w$)", "\xC3\xA9", false},
           Row{R"(^\u00e9$)", "\xC3\xA9", true},
           Row{R"(^\xE9$)", "\xC3\xA9", true},
           Row{R"(^\ud83d\ude00$)", "\xF0\x9F\x98\x80", true},
           Row{R"(^\u{1F600}$)", "\xF0\x9F\x98\x80", true},
           Row{R"(^\cJ$)", "\n", true},
           Row{R"(^\v$)", "\v", true},
           Row{R"(^[\b]$)", "\b", true},
           Row{R"(^[[:alpha:]]$)", "a", false},
           Row{R"(^[[:alpha:]]$)", "a]", true},
           Row{"[]", "a", false},
           Row{"^[^]$", "\n", true},
           Row{R"(^(?<year>[0-9]{4})-(?:0[1-9]|1[0-2])$)", "2026-11", true},
           Row{R"(^a\/b\-c$)", "a/b-c", true},
           Row{R"(^\p{L}+$)", "\xC3\xA9t\xC3\xA9", true},
           Row{R"(^\$\{.*\}$)", "${x}", true},
           Row{R"(\_x)", "_x", true},
       }) {
    EXPECT_EQ(detail::EcmaPattern(row.pattern).found_in(row.text), row.found) << row.pattern << " in " << row.text;
  }
}

TEST(SchemaPatterns, AreRefusedWhenTheyNeedBacktracking) {
  for (const char* pattern : {"(?=a)", "(?!a)b", "(?<=a)b", "(?<!a)b", R"(^(a)\\1$)", R"((?<n>a)\\k<n>)"}) {
    EXPECT_ERROR(compile(string(R"({"pattern": ")") + pattern + "\"}"), ErrorCode::unsupported,
                 "schema /pattern: the pattern:");
  }
  EXPECT_ERROR(compile(R"({"pattern": "a{1001}"})"), ErrorCode::unsupported, "a repetition of more than 1,000");
  EXPECT_ERROR(compile(R"({"pattern": "((a{100}){100}){100}"})"), ErrorCode::unsupported, "");
  for (const char* pattern :
       {"(", ")", "[a", "*", R"(\\)", R"(\\z)", R"(\\A)", R"(\\Qa)", "(?i)a", "(?P<a>b)", R"(\\u12)", R"(\\xg0)",
        R"(\\ud800\\u0041)", R"(\\u{110000})", R"([\\1])", R"(\\c1)", "a**", "[z-a]", R"([\\B])"}) {
    EXPECT_ERROR(compile(string(R"({"pattern": ")") + pattern + "\"}"), ErrorCode::invalid_argument,
                 "schema /pattern: the pattern:");
  }
  EXPECT_ERROR(compile(R"x({"patternProperties": {"^(?!x)": {}}})x"), ErrorCode::unsupported,
               "schema /patternProperties/^(?!x): the pattern:");
}

TEST(Schema, CountsCharactersNotBytes) {
  EXPECT_TRUE(valid(R"({"maxLength": 2})", R"("é😀")"));
  EXPECT_FALSE(valid(R"({"minLength": 3})", R"("é😀")"));
  EXPECT_TRUE(valid(R"({"maxLength": 1})", R"("\ud83d\ude00")"));
}

// --- References

TEST(SchemaReferences, StayWithinTheSchema) {
  for (const auto& [schema, words] : std::vector<std::pair<string, string>>{
           {R"({"$ref": "http://example.com/other.json"})",
            R"(schema /$ref: "http://example.com/other.json" names another document)"},
           {R"({"properties": {"a": {"$ref": "other.json#/x"}}})",
            R"(schema /properties/a/$ref: "other.json#/x" names another)"},
           {R"({"$id": "http://a/b", "items": {"$ref": "c"}})", "names another document"},
           {R"({"$ref": "file:///etc/passwd"})", "names another document"}}) {
    EXPECT_ERROR(compile(schema), ErrorCode::unsupported, words);
  }
  for (const char* ref :
       {"#/definitions/none", "#/definitions/list/2", "#/definitions/list/-", "#name", "#/a~2b", "#%zz", "#/type/0"}) {
    EXPECT_ERROR(
        compile(string(R"({"definitions": {"x": true}, "type": "object", "examples": [], "$ref": ")") + ref + "\"}"),
        ErrorCode::invalid_argument, "/$ref: \"");
  }
  EXPECT_ERROR(compile(R"({"$ref": 1})"), ErrorCode::invalid_argument, "/$ref: has to be a string");
  EXPECT_ERROR(compile(R"({"title": "x", "items": {"$ref": "#/title"}})"), ErrorCode::invalid_argument,
               "schema /title: has to be an object, true or false");
}

TEST(SchemaReferences, FollowIds) {
  const string schema = R"({"$id": "http://example.com/root.json",
    "definitions": {"A": {"$id": "#foo", "type": "integer"},
                    "B": {"$id": "other.json", "definitions": {"X": {"$id": "#bar", "type": "string"}, "Y": {"$ref": "#bar"}}}},
    "properties": {"a": {"$ref": "#foo"}, "x": {"$ref": "other.json#bar"}, "y": {"$ref": "other.json#/definitions/Y"},
                   "z": {"$ref": "http://example.com/root.json#/definitions/A"}}})";
  EXPECT_EQ(places(compile(schema), R"({"a": "s", "x": 1, "y": 2, "z": "s"})"),
            (Places{"/a|type|/definitions/A/type", "/x|type|/definitions/B/definitions/X/type",
                    "/y|type|/definitions/B/definitions/X/type", "/z|type|/definitions/A/type"}));
  EXPECT_ERROR(compile(R"({"definitions": {"A": {"$id": "#foo"}, "B": {"$id": "#foo"}}})"), ErrorCode::invalid_argument,
               "/definitions/B/$id: is taken");
}

TEST(SchemaReferences, MayRecurse) {
  const SchemaValidator tree = compile(
      R"({"type": "object", "required": ["v"], "properties": {"v": {"type": "integer"}, "next": {"$ref": "#"}}})");
  string deep = R"({"v": "x"})";
  for (int i = 0; i < 98; ++i) deep = R"({"v": 1, "next": )" + deep + "}";
  const auto violations = tree.check(Json(deep));
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].schema_pointer, "/properties/v/type");
  // A text that no Json is may be nested more deeply: an error, not a crash.
  const string too_deep(200'000, '[');
  EXPECT_ERROR(tree.check_text(too_deep), ErrorCode::invalid_argument, "nested too deeply");
  EXPECT_ERROR(tree.check(Json::trusted(too_deep)), ErrorCode::invalid_argument, "nested too deeply");
}

TEST(SchemaReferences, ThatNeverEndAreRefused) {
  for (const char* schema :
       {R"({"$ref": "#"})", R"({"allOf": [{"$ref": "#"}]})", R"({"not": {"$ref": "#"}})",
        R"({"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}})",
        R"({"if": true, "then": {"anyOf": [true, {"$ref": "#"}]}})", R"({"dependencies": {"a": {"$ref": "#"}}})"}) {
    EXPECT_ERROR(compile(schema), ErrorCode::invalid_argument, "refers to itself without going into the document");
  }
  EXPECT_NO_THROW(compile(R"({"items": {"$ref": "#"}, "properties": {"b": {"items": {"$ref": "#/properties/b"}}}})"));
}

TEST(SchemaReferences, ManyWithinEachOtherAreRefused) {
  const auto chain = [](int links) {
    string schema = R"({"$ref": "#/definitions/d0", "definitions": {)";
    for (int i = 0; i < links; ++i) {
      schema += "\"d" + std::to_string(i) + R"(": {"$ref": "#/definitions/d)" + std::to_string(i + 1) + "\"},";
    }
    return schema + "\"d" + std::to_string(links) + R"(": {"type": "object"}}})";
  };
  EXPECT_TRUE(compile(chain(30)).accepts(Json("{}")));
  EXPECT_ERROR(compile(chain(20'000)), ErrorCode::unsupported, "more than 40 schemas apply to one value");
}

// --- What it may cost

TEST(SchemaCost, IsLinearInTheDocument) {
  const SchemaValidator schema = compile(
      string(R"({"type": "array", "uniqueItems": true, "items": )") +
      string(order_schema).replace(string(order_schema).find("#/definitions/line"), 18, "#/items/definitions/line") +
      "}");
  const auto document = [](std::size_t bytes) {
    string text = "[";
    for (int i = 0; text.size() < bytes; ++i) {
      if (i != 0) text += ',';
      text += R"({"order": "NL-)" + std::to_string(i) +
              R"(", "lines": [{"qty": 1}, {"qty": 12, "note": "some more text"}]})";
    }
    return Json(text + "]");
  };
  const auto took = [&](const Json& json) {
    const double begin = processor_time();
    EXPECT_TRUE(schema.accepts(json));
    return processor_time() - begin;
  };
  const Json small = document(1 << 20);
  const Json large = document(10 << 20);
  double least_small = 1e9;
  for (int i = 0; i < 3; ++i) least_small = std::min(least_small, took(small));
  const double least_large = std::min(took(large), took(large));
  EXPECT_LT(least_large, 25 * least_small) << least_small << " s and " << least_large << " s";
}

TEST(SchemaCost, ASchemaThatMultipliesIsStopped) {
  // Each level doubles the steps: 2^30 on one value.
  string schema = R"({"$ref": "#/definitions/d0", "definitions": {)";
  for (int i = 0; i < 15; ++i) {
    const string next = R"({"$ref": "#/definitions/d)" + std::to_string(i + 1) + "\"}";
    schema += "\"d" + std::to_string(i) + R"(": {"allOf": [)" + next + "," + next + "," + next + "," + next + "]},";
  }
  schema += R"("d15": {"type": "object"}}})";
  EXPECT_ERROR(compile(schema).check(Json("{}")), ErrorCode::too_large, "more than 1000 steps");
  // The same with the document's depth.
  const SchemaValidator recursive = compile(
      R"({"anyOf": [{"properties": {"a": {"$ref": "#"}}, "required": ["b"]}, {"properties": {"a": {"$ref": "#"}}, "required": ["c"]}, {"maxProperties": 0}]})");
  string deep = "{}";
  for (int i = 0; i < 60; ++i) deep = R"({"a": )" + deep + "}";
  EXPECT_ERROR(recursive.check(Json(deep)), ErrorCode::too_large, "more than 1000 steps");
}

TEST(SchemaCost, DeepSchemasOnDeepDocumentsHaveALimit) {
  string within = R"({"items": {"$ref": "#"}})";
  for (int i = 0; i < 35; ++i) within = R"({"allOf": [)" + within + "]}";
  const SchemaValidator schema = compile(within);
  const auto nested = [](int levels) {
    return Json(string(static_cast<std::size_t>(levels), '[') + string(static_cast<std::size_t>(levels), ']'));
  };
  EXPECT_TRUE(schema.accepts(nested(12)));
  std::thread([&] {  // Where the stack is a thread's.
    EXPECT_ERROR(schema.check(nested(100)), ErrorCode::too_large, "more than 500 schemas apply one within the other");
  })
      .join();
}

TEST(SchemaCost, ATextOfAMegabyteIsTheLimit) {
  EXPECT_ERROR(compile("{\"title\": \"" + string(limits::schema_bytes, 'x') + "\"}"), ErrorCode::too_large,
               "the limit is 1048576");
}

TEST(Schema, IsUsedByManyThreads) {
  const SchemaValidator schema = compile(order_schema);
  const Json good(R"({"order": "NL-1", "lines": [{"qty": 2}]})");
  const Json bad(R"({"order": "nl-1", "lines": [{"qty": 2}]})");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const SchemaValidator copy = schema;
      for (int i = 0; i < 500; ++i) {
        if (!schema.accepts(good) || copy.check(bad).size() != 1) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// --- What is no schema

TEST(Schema, RefusesWhatIsNoSchema) {
  for (const auto& [schema, words] : std::vector<std::pair<string, string>>{
           {"1", "schema: has to be an object, true or false"},
           {"[]", "schema: has to be an object"},
           {"", "an object or an array has to begin"},
           {"{", ""},
           {R"({"type": "object", "type": "array"})", "a name comes twice"},
           {R"({"type": "text"})", "schema /type: has to be null, boolean"},
           {R"({"type": []})", "schema /type: must not be empty"},
           {R"({"type": ["string", 1]})", "schema /type: has to be null"},
           {R"({"enum": 1})", "schema /enum: has to be an array"},
           {R"({"enum": []})", "schema /enum: has to be an array"},
           {R"({"multipleOf": 0})", "schema /multipleOf: has to be greater than 0"},
           {R"({"multipleOf": -1})", "schema /multipleOf: has to be greater than 0"},
           {R"({"minimum": "1"})", "schema /minimum: has to be a number"},
           {R"({"exclusiveMaximum": true})", "schema /exclusiveMaximum: has to be a number"},  // draft 4
           {R"({"minLength": -1})", "schema /minLength: has to be a whole number"},
           {R"({"maxItems": 1.5})", "schema /maxItems: has to be a whole number"},
           {R"({"pattern": 1})", "schema /pattern: has to be a string"},
           {R"({"required": true})", "schema /required: has to be an array of names"},  // draft 3
           {R"({"required": ["a", "a"]})", "schema /required: a name comes twice"},
           {R"({"required": ["a", 1]})", "schema /required: has to be an array of names"},
           {R"({"properties": []})", "schema /properties: has to be an object"},
           {R"({"properties": {"a": 1}})", "schema /properties/a: has to be an object, true or false"},
           {R"({"definitions": {"a": []}})", "schema /definitions/a: has to be an object"},
           {R"({"definitions": 1})", "schema /definitions: has to be an object"},
           {R"({"dependencies": {"a": ["b", "b"]}})", "schema /dependencies/a: a name comes twice"},
           {R"({"dependencies": {"a": 1}})", "schema /dependencies/a: has to be an object"},
           {R"({"allOf": []})", "schema /allOf: must not be empty"},
           {R"({"anyOf": {}})", "schema /anyOf: has to be an array of schemas"},
           {R"({"oneOf": [1]})", "schema /oneOf/0: has to be an object"},
           {R"({"not": 1})", "schema /not: has to be an object"},
           {R"({"items": 1})", "schema /items: has to be an object"},
           {R"({"items": [1]})", "schema /items/0: has to be an object"},
           {R"({"additionalItems": 1})", "schema /additionalItems: has to be an object"},
           {R"({"uniqueItems": 1})", "schema /uniqueItems: has to be true or false"},
           {R"({"$id": 1})", "schema /$id: has to be a string"},
       }) {
    EXPECT_ERROR(compile(schema), ErrorCode::invalid_argument, words);
  }
  for (const char* draft : {"http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#",
                            "https://json-schema.org/draft/2020-12/schema", "http://example.com/mine", "7"}) {
    EXPECT_ERROR(compile(string(R"({"$schema": ")") + draft + "\"}"), ErrorCode::unsupported,
                 "schema /$schema: only draft 7 is offered");
  }
  EXPECT_NO_THROW(compile(R"({"$schema": "https://json-schema.org/draft-07/schema"})"));
}

TEST(Schema, TellsWhatItIgnores) {
  const SchemaValidator schema = compile(R"({"requried": ["a"], "title": "t", "format": "date", "additionalItems": {},
      "then": true, "items": {"$ref": "#/definitions/x", "minimum": 3, "title": "y"}, "definitions": {"x": {"unevaluatedProperties": false}}})");
  std::vector<string> ignored;
  for (const IgnoredKeyword& keyword : schema.ignored()) ignored.push_back(keyword.schema_pointer + ": " + keyword.why);
  EXPECT_EQ(ignored, (std::vector<string>{
                         "/additionalItems: it needs an array of schemas in items",
                         "/definitions/x/unevaluatedProperties: it is no keyword of draft 7",
                         "/format: it describes and asserts nothing",
                         "/items/minimum: it stands beside a $ref",
                         "/requried: it is no keyword of draft 7; did you mean \"required\"?",
                         "/then: there is no if",
                     }));
  EXPECT_TRUE(
      compile(
          R"({"type": "object", "description": "d", "$comment": "c", "default": {}, "examples": [1], "readOnly": true})")
          .ignored()
          .empty());
  EXPECT_EQ(schema.text().substr(0, 11), "{\"requried\"");
}

TEST(Schema, TakesNumbersAsAStoreMaySpellThem) {
  const SchemaValidator schema = compile(R"({"items": {"exclusiveMinimum": 0}})");
  EXPECT_TRUE(schema.accepts(Json::trusted("[0." + string(1500, '0') + "1]")));
}

TEST(UriReference, ResolvesAsRfc3986Says) {
  // Section 5.4.
  for (const auto& [reference, target] : std::vector<std::pair<string, string>>{{"g:h", "g:h"},
                                                                                {"g", "http://a/b/c/g"},
                                                                                {"./g", "http://a/b/c/g"},
                                                                                {"g/", "http://a/b/c/g/"},
                                                                                {"/g", "http://a/g"},
                                                                                {"//g", "http://g"},
                                                                                {"?y", "http://a/b/c/d;p?y"},
                                                                                {"g?y", "http://a/b/c/g?y"},
                                                                                {"#s", "http://a/b/c/d;p?q#s"},
                                                                                {"g#s", "http://a/b/c/g#s"},
                                                                                {";x", "http://a/b/c/;x"},
                                                                                {"", "http://a/b/c/d;p?q"},
                                                                                {".", "http://a/b/c/"},
                                                                                {"..", "http://a/b/"},
                                                                                {"../g", "http://a/b/g"},
                                                                                {"../..", "http://a/"},
                                                                                {"../../../g", "http://a/g"},
                                                                                {"/./g", "http://a/g"},
                                                                                {"/../g", "http://a/g"},
                                                                                {"g.", "http://a/b/c/g."},
                                                                                {"..g", "http://a/b/c/..g"},
                                                                                {"./../g", "http://a/b/g"},
                                                                                {"g;x=1/../y", "http://a/b/c/y"},
                                                                                {"g?y/./x", "http://a/b/c/g?y/./x"}}) {
    EXPECT_EQ(detail::resolve_uri("http://a/b/c/d;p?q", reference), target) << reference;
  }
  EXPECT_EQ(detail::resolve_uri("", "#/a"), "#/a");
  EXPECT_EQ(detail::percent_decoded("a%25b%7E"), "a%b~");
  EXPECT_EQ(detail::percent_decoded("%4"), std::nullopt);
}

}  // namespace
}  // namespace stele
