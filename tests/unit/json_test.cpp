#include "stele/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "error_of.h"

namespace stele {
namespace {

using std::string;

Json parsed(string text) {
  return Json(std::move(text));
}

string nested(std::size_t depth) {
  return string(depth, '[') + string(depth, ']');
}

TEST(Json, IsAnEmptyObjectUnlessGiven) {
  EXPECT_EQ(Json().text(), "{}");
  EXPECT_TRUE(Json().is_object());
  EXPECT_EQ(Json(), parsed("{}"));
}

// Also where nlohmann's header is there, which makes JSON of everything.
TEST(Json, IsMadeFromALiteral) {
  EXPECT_TRUE((std::is_constructible_v<Json, const char*>));
  EXPECT_TRUE((std::is_constructible_v<Json, const char(&)[3]>));
}

TEST(Json, KeepsTheTextItWasGiven) {
  for (const string& text : {
           string("{}"),
           string("[]"),
           string(" \t\r\n{ } \n"),
           string(R"({"b":1,"a":[true,false,null,"x",{}]})"),
           string(R"({"a":12.50,"b":1E+2,"c":-0,"d":0.0,"e":-0.10e-3})"),
           string(R"({"a":123456789012345678901234567890.123456789012345678901234567890})"),
           string(R"(["\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00"])"),
           string("[\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\x7F\"]"),
           string(R"({"":1," ":2})"),
           string(R"({"a":{"a":{"a":1}},"b":{"a":1}})"),  // a name again, in other objects
           string(R"([{"a":1},{"a":1}])"),
           string(R"({"a":1,"A":2})"),
           string("{\"\xC3\xA9\":1,\"e\xCC\x81\":2}"),  // names that only look the same
           string(R"(["\\u0000"])"),                    // a backslash and u0000, not a NUL
           string("[9.99e307,-9.99e307,1e-1000,0e300]"),
       }) {
    EXPECT_EQ(parsed(text).text(), text);
  }
}

TEST(Json, RefusesWhatIsNoJson) {
  struct Row {
    string text;
    string words;
  };
  for (const Row& row : {
           Row{"", "an object or an array has to begin"},
           Row{" \n", "an object or an array has to begin"},
           Row{"1", "an object or an array has to begin at byte 0"},
           Row{R"("text")", "an object or an array has to begin at byte 0"},
           Row{"true", "an object or an array has to begin at byte 0"},
           Row{"null", "an object or an array has to begin at byte 0"},
           Row{"{", "expected a name in quotes"},
           Row{"[", "not a value"},
           Row{"}", "an object or an array has to begin"},
           Row{"{]", "expected a name in quotes"},
           Row{R"({"a":1)", "expected ',' or '}'"},
           Row{"[1", "expected ',' or ']'"},
           Row{"[1}", "expected ',' or ']'"},
           Row{R"({"a":1])", "expected ',' or '}'"},
           Row{R"({"a"})", "expected ':'"},
           Row{R"({"a" 1})", "expected ':'"},
           Row{R"({"a":})", "not a value"},
           Row{"{a:1}", "expected a name in quotes"},
           Row{"{'a':1}", "expected a name in quotes"},
           Row{"{1:1}", "expected a name in quotes"},
           Row{R"({"a":1,})", "expected a name in quotes"},
           Row{"[1,]", "not a value"},
           Row{"[,1]", "not a value"},
           Row{"[1 2]", "expected ',' or ']'"},
           Row{"['a']", "not a value"},
           Row{"[TRUE]", "not a value"},
           Row{"[nul]", "not a value"},
           Row{"[NaN]", "not a value"},
           Row{"[Infinity]", "not a value"},
           Row{"[undefined]", "not a value"},
           Row{"[/* no */1]", "not a value"},
           Row{"[] // no", "there is more text behind the document"},
           Row{"\xEF\xBB\xBF{}", "not a value"},  // a byte order mark
           Row{R"(["a)", "a string does not end"},
           Row{R"(["a])", "a string does not end"},
           Row{R"(["\x"])", "an escape that does not exist"},
           Row{R"(["\'"])", "an escape that does not exist"},
           Row{R"(["\U0041"])", "an escape that does not exist"},
           Row{R"(["\u12"])", "four hexadecimal digits"},
           Row{R"(["\u12g4"])", "four hexadecimal digits"},
           Row{"[\"a\nb\"]", "a control character that is not escaped"},
           Row{"[\"a\tb\"]", "a control character that is not escaped"},
           Row{"[\"\x1F\"]", "a control character that is not escaped"},
       }) {
    SCOPED_TRACE(row.text);
    EXPECT_ERROR(parsed(row.text), ErrorCode::invalid_argument, row.words);
    EXPECT_ERROR(parsed(row.text), ErrorCode::invalid_argument, "JSON: ");
    EXPECT_ERROR(parsed(row.text), ErrorCode::invalid_argument, " at byte ");
  }
}

TEST(Json, RefusesNumbersThatAreNone) {
  for (const string number : {"01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "--1", "0x10", "1_000", "-01", "1,5e",
                              "00", "- 1", "1e1.5", "-Infinity", "1f"}) {
    SCOPED_TRACE(number);
    EXPECT_ERROR(parsed("[" + number + "]"), ErrorCode::invalid_argument, "JSON: ");
  }
}

TEST(Json, NamesTheByteOfTheFault) {
  EXPECT_ERROR(parsed(R"({"a":1,"b":x})"), ErrorCode::invalid_argument, "at byte 11");
  EXPECT_ERROR(parsed(R"({"a":1} x)"), ErrorCode::invalid_argument, "at byte 8");
  EXPECT_ERROR(parsed(R"([1,2,3)"), ErrorCode::invalid_argument, "at byte 6");
}

TEST(Json, RefusesTextBehindTheDocument) {
  constexpr std::string_view words = "there is more text behind the document";
  EXPECT_ERROR(parsed("{}x"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed("{}{}"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed("[],"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed("[]]"), ErrorCode::invalid_argument, words);
  // A NUL ends no text: neither alone, nor with anything behind it.
  EXPECT_ERROR(parsed(string("{}\0", 3)), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(string("{}\0x", 4)), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(string("{} \0{}", 6)), ErrorCode::invalid_argument, words);
}

TEST(Json, RefusesNulEverywhere) {
  constexpr std::string_view words = "U+0000";
  EXPECT_ERROR(parsed(R"(["\u0000"])"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(R"(["a\u0000b"])"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(R"({"\u0000":1})"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(R"({"a":{"b\u0000":1}})"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed(R"(["\\\u0000"])"), ErrorCode::invalid_argument, words);
  for (const string& raw : {string("\0", 1), string("[\0]", 3), string("[\"a\0b\"]", 7), string("{\"a\0\":1}", 8),
                            string("\0{}", 3), string("[1\0]", 4), string("[\"a\0", 4)}) {
    SCOPED_TRACE(::testing::PrintToString(raw));
    EXPECT_ERROR(parsed(raw), ErrorCode::invalid_argument, "JSON: ");
  }
}

TEST(Json, RefusesHalvesOfSurrogatePairs) {
  constexpr std::string_view words = "surrogate without its other half";
  for (const string text : {
           R"(["\ud800"])",        // a first half at the end
           R"(["\ud800x"])",       // before a character
           R"(["\udbff\n"])",      // before an escape
           R"(["\ud800\ud800"])",  // two first halves
           R"(["\ud800\u0041"])",  // before a \u that is no half
           R"(["\udc00"])",        // a second half alone
           R"(["\udfff"])",        //
           R"(["\udc00\ud800"])",  // the wrong way round
           R"({"\udc00":1})",      // in a name
           R"({"a\ud800":1})",     //
           R"(["\ud83d\ude00\udc00"])",
       }) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(parsed(text), ErrorCode::invalid_argument, words);
  }
  EXPECT_NO_THROW(parsed(R"(["\ud83d\ude00"])"));
  EXPECT_NO_THROW(parsed(R"(["\uD800\uDC00\uDBFF\uDFFF"])"));
  EXPECT_NO_THROW(parsed(R"(["\ud7ff\ue000"])"));  // the neighbours of the halves
}

TEST(Json, RefusesInvalidUtf8) {
  constexpr std::string_view words = "not valid UTF-8";
  for (const string bytes : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
                             "\xED\xBF\xBF", "\xED\xA0\xBD\xED\xB8\x80", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                             "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xF0\x9F\x98", "\xFE", "\xFF"}) {
    SCOPED_TRACE(::testing::PrintToString(bytes));
    EXPECT_ERROR(parsed("[\"" + bytes + "\"]"), ErrorCode::invalid_argument, words);
    EXPECT_ERROR(parsed("{\"a" + bytes + "\":1}"), ErrorCode::invalid_argument, words);
    EXPECT_ERROR(parsed("[" + bytes + "]"), ErrorCode::invalid_argument, "JSON: ");
    EXPECT_ERROR(parsed("[\"" + bytes), ErrorCode::invalid_argument, "JSON: ");
  }
}

TEST(Json, RefusesANameTwiceInOneObject) {
  constexpr std::string_view words = "a name comes twice in one object";
  for (const string text : {
           R"({"a":1,"a":1})",
           R"({"a":1,"b":2,"a":3})",
           R"({"":1,"":2})",
           R"([{"x":{"a":1,"a":2}}])",
           R"({"a":{"a":1},"a":2})",      // behind an inner object with the name
           R"({"a":1,"\u0061":2})",       // the same name, spelt with an escape
           R"({"\u00e9":1,"\u00E9":2})",  //
           R"({"/":1,"\/":2})",           //
           R"({"\ud83d\ude00":1,"b":2,"😀":3})",
       }) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(parsed(text), ErrorCode::invalid_argument, words);
  }
}

TEST(Json, RefusesANameTwiceAlsoInALargeObject) {
  for (const int size : {15, 16, 17, 18, 1000}) {
    string members;
    for (int i = 0; i < size; ++i) members += "\"name" + std::to_string(i) + "\":{\"a\":1},";
    EXPECT_NO_THROW(parsed("{" + members + "\"other\":1}")) << size;
    for (const int again : {0, size / 2, size - 1}) {
      SCOPED_TRACE(std::to_string(again) + " of " + std::to_string(size));
      EXPECT_ERROR(parsed("{" + members + "\"n\\u0061me" + std::to_string(again) + "\":1}"),
                   ErrorCode::invalid_argument, "a name comes twice in one object");
      EXPECT_ERROR(parsed("[{" + members + "\"name" + std::to_string(again) + "\":1}]"), ErrorCode::invalid_argument,
                   "a name comes twice in one object");
    }
  }
}

TEST(Json, IsNestedAtMost100Deep) {
  constexpr std::string_view words = "nested too deeply";
  EXPECT_NO_THROW(parsed(nested(100)));
  EXPECT_ERROR(parsed(nested(101)), ErrorCode::invalid_argument, words);
  const auto objects = [](int depth) {
    string text;
    for (int i = 0; i < depth; ++i) text += "{\"a\":";
    return text + "1" + string(static_cast<std::size_t>(depth), '}');
  };
  EXPECT_NO_THROW(parsed(objects(100)));
  EXPECT_ERROR(parsed(objects(101)), ErrorCode::invalid_argument, words);
  // Beside each other is not within each other.
  EXPECT_NO_THROW(parsed("[" + nested(99) + "," + nested(99) + "]"));
  // No stack is used up by what is refused.
  EXPECT_ERROR(parsed(string(5'000'000, '[')), ErrorCode::invalid_argument, words);
}

TEST(Json, NumbersHaveAtMost1000Characters) {
  constexpr std::string_view words = "a number is too long";
  const string digits_998(998, '7');
  EXPECT_EQ(parsed("[0." + digits_998 + "]").text(), "[0." + digits_998 + "]");  // 1000
  EXPECT_ERROR(parsed("[0." + digits_998 + "7]"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed("[-0." + digits_998 + "]"), ErrorCode::invalid_argument, words);
  EXPECT_ERROR(parsed("{\"a\":" + string(1'000'000, '1') + "}"), ErrorCode::invalid_argument, "a number is too l");
  // A string may be as long as it likes.
  EXPECT_NO_THROW(parsed("[\"" + string(5000, '1') + "\"]"));
}

TEST(Json, NumbersAreSmallerThan1e308) {
  const auto accepted = [](const string& number) {
    const string text = "[" + number + ",-" + number + "]";
    EXPECT_NO_THROW(EXPECT_EQ(parsed(text).text(), text)) << text;
  };
  const auto refused = [](const string& number, std::string_view words) {
    SCOPED_TRACE(number);
    EXPECT_ERROR(parsed("[" + number + "]"), ErrorCode::invalid_argument, words);
    EXPECT_ERROR(parsed("[-" + number + "]"), ErrorCode::invalid_argument, words);
  };
  accepted(string(308, '9'));
  accepted("9.999999999999999999999e307");
  accepted("0.00001e312");
  accepted("0.1e308");
  accepted(string(300, '9') + ".5e7");
  accepted("1" + string(300, '0') + "e-300");
  accepted("0e308");
  accepted("1e-400");
  accepted("1e-1000");
  accepted("0." + string(900, '0') + "1e-1000");
  refused(string(309, '9'), "a number is too large");
  refused("1" + string(308, '0'), "a number is too large");
  refused("1e308", "a number is too large");
  refused("1.7e308", "a number is too large");
  refused("1e309", "a number is too large");
  refused("1E+400", "a number is too large");
  refused("0.1e309", "a number is too large");
  refused("100e306", "a number is too large");
  refused(string(301, '9') + "e8", "a number is too large");
  refused("1e-1001", "a number's exponent is too large");
  refused("1e-99999999999999999999", "a number's exponent is too large");
  refused("1e99999999999999999999", "a number");  // Which of its faults is named first does not matter.
}

TEST(Json, ValueParses) {
  const nlohmann::json value =
      parsed(R"( {"a":[1,-2,2.5,"x\u00e9",true,null],"b":{"c":18446744073709551615}} )").value();
  EXPECT_EQ(value["a"][0], 1);
  EXPECT_EQ(value["a"][1], -2);
  EXPECT_EQ(value["a"][2], 2.5);
  EXPECT_EQ(value["a"][3], "x\xC3\xA9");
  EXPECT_EQ(value["a"][4], true);
  EXPECT_TRUE(value["a"][5].is_null());
  EXPECT_EQ(value["b"]["c"].get<std::uint64_t>(), std::numeric_limits<std::uint64_t>::max());
}

TEST(Json, ValueParsesWhateverWasAccepted) {
  for (const string& text : {nested(100), string("[9.99e307,1e-1000,") + string(308, '9') + "]",
                             "[0." + string(998, '7') + "]", string(R"(["\ud83d\ude00\\"])")}) {
    EXPECT_NO_THROW(static_cast<void>(parsed(text).value())) << text;
  }
}

TEST(Json, IsMadeFromAValue) {
  const nlohmann::json value = {{"b", {1, 2.5, "x\xC3\xA9", true, nullptr}}, {"a", nlohmann::json::object()}};
  const Json json(value);
  EXPECT_EQ(json.value(), value);
  EXPECT_TRUE(json_equal(json, parsed("{\"a\":{},\"b\":[1,2.5,\"x\\u00e9\",true,null]}")));
  EXPECT_EQ(Json(nlohmann::json::array()).text(), "[]");
}

TEST(Json, RefusesValuesThatHaveNoText) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_ERROR(Json(nlohmann::json{{"a", nan}}), ErrorCode::invalid_argument, "not finite");
  EXPECT_ERROR(Json(nlohmann::json{{"a", {1, {{"b", -infinity}}}}}), ErrorCode::invalid_argument, "not finite");
  EXPECT_ERROR(Json(nlohmann::json{{"a", nlohmann::json::binary({1, 2})}}), ErrorCode::invalid_argument, "binary");
  EXPECT_ERROR(Json(nlohmann::json(nlohmann::json::value_t::discarded)), ErrorCode::invalid_argument, "discarded");
  EXPECT_ERROR(Json(nlohmann::json{{"a", "\xC3"}}), ErrorCode::invalid_argument, "UTF-8");
  EXPECT_ERROR(Json(nlohmann::json{{"a", string("x\0y", 3)}}), ErrorCode::invalid_argument, "U+0000");
  EXPECT_ERROR(Json(nlohmann::json(1)), ErrorCode::invalid_argument, "an object or an array has to begin");
  EXPECT_ERROR(Json(nlohmann::json{{"a", std::numeric_limits<double>::max()}}), ErrorCode::invalid_argument,
               "a number is too large");
  nlohmann::json deep = nlohmann::json::array();
  for (int i = 0; i < 100; ++i) deep = nlohmann::json::array({std::move(deep)});
  EXPECT_ERROR(Json(deep), ErrorCode::invalid_argument, "nested too deeply");
}

TEST(Json, KnowsObjectsFromArrays) {
  EXPECT_TRUE(parsed("{}").is_object());
  EXPECT_TRUE(parsed(" \r\n\t{\"a\":[]}").is_object());
  EXPECT_FALSE(parsed("[]").is_object());
  EXPECT_FALSE(parsed("\n [{}]").is_object());
}

TEST(Json, TrustedTextIsTakenAsItIs) {
  EXPECT_EQ(Json::trusted("[ 1 ]").text(), "[ 1 ]");
  Json json;
  json.assign_trusted("{\"a\":1}");
  EXPECT_EQ(json.text(), "{\"a\":1}");
  json.assign_trusted("[]");
  EXPECT_EQ(json.text(), "[]");
}

TEST(Json, EqualityIsOfTheText) {
  EXPECT_EQ(parsed("[1]"), parsed("[1]"));
  EXPECT_NE(parsed("[1]"), parsed("[1.0]"));
}

}  // namespace
}  // namespace stele
