#include "stele/types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "stele/append.h"

namespace stele {
namespace {

TEST(StreamKey, HasTheDefaultTenantUnlessGiven) {
  EXPECT_EQ(StreamKey("order", "7"), StreamKey("default", "order", "7"));
  EXPECT_EQ(StreamKey("order", "7").tenant, default_tenant);
  EXPECT_TRUE(StreamKey().tenant.empty());
}

TEST(StreamKey, PrintsTheTenantUnlessItIsTheDefault) {
  EXPECT_EQ(StreamKey("order", "7").to_string(), "order/7");
  EXPECT_EQ(StreamKey("acme", "order", "7").to_string(), "acme:order/7");
}

TEST(StreamKey, OrdersByTenantTypeAndIdAsBytes) {
  std::vector<StreamKey> keys{{"b", "a", "a"},        {"a", "b", "a"}, {"a", "a", "b"},  {"a", "a", "B"},
                              {"a", "a", "\xC3\xA9"}, {"a", "a", "z"}, {"a", "a", "a "}, {"a", "a", "a"}};
  std::sort(keys.begin(), keys.end());
  const std::vector<StreamKey> sorted{{"a", "a", "B"}, {"a", "a", "a"},        {"a", "a", "a "}, {"a", "a", "b"},
                                      {"a", "a", "z"}, {"a", "a", "\xC3\xA9"}, {"a", "b", "a"},  {"b", "a", "a"}};
  EXPECT_EQ(keys, sorted);
}

TEST(ClosedLists, NamesAreWrittenAndReadBack) {
  const std::vector<std::pair<ActorType, std::string_view>> actors{{ActorType::user, "user"},
                                                                   {ActorType::service, "service"},
                                                                   {ActorType::agent, "agent"},
                                                                   {ActorType::system, "system"}};
  for (const auto& [value, name] : actors) {
    EXPECT_EQ(to_string(value), name);
    EXPECT_EQ(parse_actor_type(name), value);
  }
  const std::vector<std::pair<Channel, std::string_view>> channels{{Channel::ui, "ui"},
                                                                   {Channel::api, "api"},
                                                                   {Channel::import, "import"},
                                                                   {Channel::webhook, "webhook"},
                                                                   {Channel::system, "system"}};
  for (const auto& [value, name] : channels) {
    EXPECT_EQ(to_string(value), name);
    EXPECT_EQ(parse_channel(name), value);
  }
  const std::vector<std::pair<RedactionLevel, std::string_view>> levels{
      {RedactionLevel::none, "none"}, {RedactionLevel::partial, "partial"}, {RedactionLevel::full, "full"}};
  for (const auto& [value, name] : levels) {
    EXPECT_EQ(to_string(value), name);
    EXPECT_EQ(parse_redaction_level(name), value);
  }
}

TEST(ClosedLists, OtherNamesAreNone) {
  for (const std::string_view name : {"", "User", "user ", " user", "users", "use", "?", "0", "bot"}) {
    EXPECT_FALSE(parse_actor_type(name)) << name;
    EXPECT_FALSE(parse_channel(name)) << name;
    EXPECT_FALSE(parse_redaction_level(name)) << name;
  }
  EXPECT_FALSE(parse_actor_type(std::string_view("user\0", 5)));
  EXPECT_FALSE(parse_channel("user"));
  EXPECT_FALSE(parse_actor_type("api"));
}

TEST(ExpectedVersion, HoldsForWhatItSays) {
  struct Row {
    ExpectedVersion expected;
    bool for_0;
    bool for_1;
    bool for_2;
    std::string_view text;
  };
  for (const Row& row : {
           Row{ExpectedVersion::any(), true, true, true, "any"},
           Row{ExpectedVersion::no_stream(), true, false, false, "none"},
           Row{ExpectedVersion::stream_exists(), false, true, true, "exists"},
           Row{ExpectedVersion::exactly(1), false, true, false, "1"},
           Row{ExpectedVersion::exactly(2), false, false, true, "2"},
           Row{ExpectedVersion::exactly(Version(2)), false, false, true, "2"},
           Row{ExpectedVersion::exactly(0), true, false, false, "none"},
           Row{ExpectedVersion::exactly(-1), false, false, false, "-1"},
       }) {
    EXPECT_EQ(row.expected.to_string(), row.text);
    EXPECT_EQ(row.expected.holds_for(Version(0)), row.for_0) << row.text;
    EXPECT_EQ(row.expected.holds_for(Version(1)), row.for_1) << row.text;
    EXPECT_EQ(row.expected.holds_for(Version(2)), row.for_2) << row.text;
  }
  EXPECT_EQ(ExpectedVersion::exactly(0), ExpectedVersion::no_stream());
  EXPECT_EQ(ExpectedVersion::exactly(3).version(), Version(3));
  EXPECT_EQ(ExpectedVersion::stream_exists().version(), Version(0));
}

}  // namespace
}  // namespace stele
