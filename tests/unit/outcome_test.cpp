#include "stele/driver/outcome.h"

#include <gtest/gtest.h>

#include <limits>

#include "error_of.h"

namespace stele::driver {
namespace {

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

TEST(OutcomeJson, ComesBackAsItWas) {
  const std::vector<std::vector<StreamOutcome>> outcomes{
      {},
      {{StreamKey("acme", "order", "7"), Version(1), Version(3), Position(10), Position(12)}},
      {{StreamKey("acme", "order", "7"), Version(1), Version(1), Position(10), Position(10)},
       {StreamKey("acme", "\"quoted\"\n", "\xC3\xA9\\"), Version(4), Version(3), Position(0), Position(0)},
       {StreamKey("acme", "z", "1"), Version(highest - 1), Version(highest), Position(highest - 1), Position(highest)}},
  };
  for (const auto& outcome : outcomes) {
    const std::string text = outcome_to_json(outcome);
    EXPECT_EQ(outcome_from_json(text, "acme"), outcome) << text;
  }
}

TEST(OutcomeJson, IsOneTextForever) {
  // What is in databases already must stay readable.
  const std::string text =
      R"([{"type":"order","id":"7","first_version":1,"last_version":3,"first_position":9007199254740993,)"
      R"("last_position":9007199254740995}])";
  const std::vector<StreamOutcome> outcome{{StreamKey("acme", "order", "7"), Version(1), Version(3),
                                            Position(9007199254740993), Position(9007199254740995)}};
  EXPECT_EQ(outcome_to_json(outcome), text);
  EXPECT_EQ(outcome_from_json(text, "acme"), outcome);
  EXPECT_EQ(outcome_to_json({}), "[]");
}

TEST(OutcomeJson, TheTenantIsTheCommands) {
  const auto outcome = outcome_from_json(
      R"([{"type":"a","id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":1}])", "globex");
  EXPECT_EQ(outcome.at(0).stream, StreamKey("globex", "a", "1"));
}

TEST(OutcomeJson, AnythingElseIsCorrupt) {
  const std::string good =
      R"({"type":"a","id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":1})";
  ASSERT_EQ(outcome_from_json("[" + good + "]", "t").size(), 1U);
  for (
      const std::string& text : {
          std::string(),
          std::string("null"),
          std::string("{}"),
          std::string("1"),
          std::string("["),
          std::string("[1]"),
          std::string("[[]]"),
          std::string("[null]"),
          std::string("[{}]"),
          std::string("[") + good,
          "[" + good + ",]",
          "[" + good + "] x",
          "[" + good + ",{}]",
          good,
          std::string(R"([{"id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":1}])"),
          std::string(R"([{"type":"a","id":"1","first_version":1,"last_version":1,"first_position":1}])"),
          std::string(
              R"([{"type":1,"id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":1}])"),
          std::string(
              R"([{"type":"a","id":null,"first_version":1,"last_version":1,"first_position":1,"last_position":1}])"),
          std::string(
              R"([{"type":"a","id":"1","first_version":"1","last_version":1,"first_position":1,"last_position":1}])"),
          std::string(
              R"([{"type":"a","id":"1","first_version":1.5,"last_version":1,"first_position":1,"last_position":1}])"),
          std::string(
              R"([{"type":"a","id":"1","first_version":1,"last_version":true,"first_position":1,"last_position":1}])"),
          std::string(
              R"([{"type":"a","id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":1e30}])"),
          // More than 63 bits must not come back as a negative number.
          std::string(
              R"([{"type":"a","id":"1","first_version":1,"last_version":1,"first_position":1,"last_position":18446744073709551615}])"),
          std::string("[\"\xC3\"]"),
      }) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(outcome_from_json(text, "t"), ErrorCode::corrupt, "outcome");
  }
}

}  // namespace
}  // namespace stele::driver
