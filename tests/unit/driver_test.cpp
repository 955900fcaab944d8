#include "stele/driver/driver.h"

#include <gtest/gtest.h>

namespace stele::driver {
namespace {

TEST(Checksum, IsThatOfTheTextWithUnixLineEnds) {
  EXPECT_EQ(checksum("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string unix_text = "CREATE TABLE a (b);\nCREATE TABLE c (d);\n";
  EXPECT_EQ(checksum("CREATE TABLE a (b);\r\nCREATE TABLE c (d);\r\n"), checksum(unix_text));
  EXPECT_EQ(checksum("\xEF\xBB\xBF" + unix_text), checksum(unix_text));
  EXPECT_EQ(checksum("\xEF\xBB\xBF"
                     "CREATE TABLE a (b);\r\nCREATE TABLE c (d);\n"),
            checksum(unix_text));
}

TEST(Checksum, TakesEverythingElseIntoAccount) {
  const std::string text = "a\nb";
  for (const std::string& other :
       {std::string("a\nb\n"), std::string("a b"), std::string("ab"), std::string("a\n\nb"), std::string("A\nb"),
        std::string("a\n\xEF\xBB\xBF"
                    "b"),
        std::string("a\rb"), std::string("a\nb\r"), std::string(" a\nb"), std::string("a\nb\0", 4)}) {
    EXPECT_NE(checksum(other), checksum(text)) << ::testing::PrintToString(other);
  }
}

MigrationRecord step(int number, bool up) {
  MigrationRecord record;
  record.number = number;
  record.up = up;
  return record;
}

TEST(CurrentMigration, IsTheHighestThatIsApplied) {
  EXPECT_EQ(current_migration({}), 0);
  std::vector<MigrationRecord> history{step(1, true), step(2, true), step(3, true)};
  EXPECT_EQ(current_migration(history), 3);
  history.push_back(step(3, false));
  EXPECT_EQ(current_migration(history), 2);
  history.push_back(step(3, true));
  EXPECT_EQ(current_migration(history), 3);
  for (int number : {3, 2, 1}) history.push_back(step(number, false));
  EXPECT_EQ(current_migration(history), 0);
  history.push_back(step(1, true));
  EXPECT_EQ(current_migration(history), 1);
}

TEST(EventPage, ClearsAnEventThatItGivesOutAgain) {
  EventPage page;
  RecordedEvent& event = page.add();
  event.event_version = 7;
  event.valid_from = event.valid_to = Timestamp::now();
  event.actor = Actor{ActorType::agent, "a"};
  event.source = "s";
  event.channel = Channel::api;
  event.idempotency_key = "k";
  event.causation_id = event.correlation_id = Uuid::v7();
  event.redaction_level = RedactionLevel::full;
  event.contains_secrets = true;
  event.metadata = event.policy_context = event.model_context = event.display = Json("{\"a\":1}");
  event.attributes = {{"a", "b"}};
  event.command = CommandKey{"t", "s", "r"};
  page.count_bytes(10);
  page.end = false;
  ASSERT_EQ(page.size(), 1U);
  page.clear();
  EXPECT_EQ(page.size(), 0U);
  EXPECT_EQ(page.bytes(), 0U);
  EXPECT_TRUE(page.end);

  const RecordedEvent& again = page.add();
  EXPECT_EQ(again.event_version, 1);
  EXPECT_FALSE(again.valid_from);
  EXPECT_FALSE(again.valid_to);
  EXPECT_FALSE(again.actor);
  EXPECT_FALSE(again.source);
  EXPECT_FALSE(again.channel);
  EXPECT_FALSE(again.idempotency_key);
  EXPECT_FALSE(again.causation_id);
  EXPECT_FALSE(again.correlation_id);
  EXPECT_EQ(again.redaction_level, RedactionLevel::none);
  EXPECT_FALSE(again.contains_secrets);
  EXPECT_FALSE(again.metadata);
  EXPECT_FALSE(again.policy_context);
  EXPECT_FALSE(again.model_context);
  EXPECT_FALSE(again.display);
  EXPECT_TRUE(again.attributes.empty());
  EXPECT_FALSE(again.command);
}

TEST(EventPage, DropsTheLast) {
  EventPage page;
  page.add().type = "a";
  page.add().type = "b";
  page.drop_last();
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].type, "a");
  page.add().type = "c";
  EXPECT_EQ(page[1].type, "c");
}

}  // namespace
}  // namespace stele::driver
