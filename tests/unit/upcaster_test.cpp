#include "stele/upcaster.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "error_of.h"
#include "memory_store.h"
#include "stele/event_json.h"
#include "stele/testing/forwarding_driver.h"

namespace stele {
namespace {

using Events = std::vector<RecordedEvent>;
using Names = std::vector<std::string>;

RecordedEvent event_of(std::string type, std::int32_t version = 1, std::string data = "{}") {
  RecordedEvent event;
  event.type = std::move(type);
  event.event_version = version;
  event.data = Json(std::move(data));
  event.position = Position(42);
  event.stream = StreamKey("acme", "order", "7");
  event.version = Version(3);
  event.event_id = *Uuid::parse("01890a5d-ac96-774b-bcce-b302099a8057");
  return event;
}

/// Makes one event of each of these forms.
Upcaster makes(std::vector<EventForm> forms) {
  return [forms = std::move(forms)](const RecordedEvent& event) {
    Events made;
    for (const EventForm& form : forms) {
      made.push_back(event);
      made.back().type = form.type;
      made.back().event_version = form.event_version;
    }
    return made;
  };
}

std::string form_of(const RecordedEvent& event) {
  return event.type + "/" + std::to_string(event.event_version);
}

Names forms(const Events& events) {
  Names names;
  for (const RecordedEvent& event : events) names.push_back(form_of(event));
  return names;
}

TEST(Upcasters, LeaveWhatTheyDoNotConcern) {
  Upcasters upcasters;
  upcasters.add("Placed", 1, [](const RecordedEvent&) { return Json(R"({"new":1})"); });
  for (const RecordedEvent& event : {event_of("Placed", 2), event_of("Paid", 1), event_of("placed", 1)}) {
    EXPECT_FALSE(upcasters.concerns(event));
    const Events today = upcasters.apply(event);
    ASSERT_EQ(today.size(), 1U);
    EXPECT_EQ(to_json_line(today[0]), to_json_line(event));
  }
  EXPECT_TRUE(upcasters.concerns(event_of("Placed", 1)));
}

TEST(Upcasters, OneToOneMakesTheNextVersion) {
  Upcasters upcasters;
  upcasters.add("Placed", 1, [](const RecordedEvent& event) {
    return Json(R"({"total":)" + event.data.value().at("amount").dump() + "}");
  });
  const Events today = upcasters.apply(event_of("Placed", 1, R"({"amount":12})"));
  ASSERT_EQ(today.size(), 1U);
  EXPECT_EQ(form_of(today[0]), "Placed/2");
  EXPECT_EQ(today[0].data.text(), R"({"total":12})");
}

TEST(Upcasters, ChainsGoOnForEachOfSeveral) {
  Upcasters upcasters;
  // Added out of order, as the files of an application may be.
  upcasters.add("B", 1, [](const RecordedEvent&) { return Json("{}"); });
  upcasters.drop({"C", 1});
  upcasters.add({"A", 2}, {{"B", 1}, {"C", 1}, {"A", 3}}, makes({{"A", 3}, {"B", 1}, {"C", 1}, {"B", 1}}));
  upcasters.add("A", 1, [](const RecordedEvent&) { return Json("{}"); });
  EXPECT_EQ(forms(upcasters.apply(event_of("A", 1))), (Names{"A/3", "B/2", "B/2"}));
  EXPECT_TRUE(upcasters.apply(event_of("C", 1)).empty());
}

TEST(Upcasters, MayGiveFewerThanTheyAnnounced) {
  Upcasters upcasters;
  upcasters.add({"A", 1}, {{"B", 1}, {"C", 1}}, [](const RecordedEvent& event) {
    return event.data.value().empty() ? Events{} : makes({{"C", 1}})(event);
  });
  EXPECT_TRUE(upcasters.apply(event_of("A")).empty());
  EXPECT_EQ(forms(upcasters.apply(event_of("A", 1, R"({"x":1})"))), Names{"C/1"});
}

TEST(Upcasters, TheEnvelopeStaysTheEvents) {
  Upcasters upcasters;
  upcasters.add({"A", 1}, {{"B", 5}}, [](const RecordedEvent&) {
    RecordedEvent made = event_of("B", 5, R"({"d":1})");
    made.metadata = Json(R"({"m":1})");
    made.policy_context = Json(R"({"p":1})");
    made.model_context = Json(R"({"c":1})");
    made.display = Json(R"({"s":1})");
    made.position = Position(1);
    made.stream = StreamKey("other", "stream");
    made.version = Version(99);
    made.event_id = Uuid();
    made.occurred_at = Timestamp::from_micros(5);
    made.recorded_at = Timestamp::from_micros(6);
    made.valid_from = Timestamp::from_micros(7);
    made.command = CommandKey{"default", "s", "r"};
    made.actor = Actor{ActorType::agent, "x"};
    made.source = "elsewhere";
    made.attributes = {{"a", "b"}};
    made.contains_secrets = true;
    return Events{made};
  });
  const Events today = upcasters.apply(event_of("A"));
  ASSERT_EQ(today.size(), 1U);
  RecordedEvent expected = event_of("A");
  expected.type = "B";
  expected.event_version = 5;
  expected.data = Json(R"({"d":1})");
  expected.metadata = Json(R"({"m":1})");
  expected.policy_context = Json(R"({"p":1})");
  expected.model_context = Json(R"({"c":1})");
  expected.display = Json(R"({"s":1})");
  EXPECT_EQ(to_json_line(today[0]), to_json_line(expected));
}

TEST(Upcasters, FailuresNameTheEventAndTheStep) {
  Upcasters upcasters;
  upcasters.add("A", 1, [](const RecordedEvent&) { return Json("{}"); });
  upcasters.add("A", 2, [](const RecordedEvent&) -> Json { throw std::runtime_error("no such field"); });
  upcasters.add({"B", 1}, {{"B", 2}}, makes({{"B", 3}}));
  upcasters.add({"C", 1}, {}, makes({{"C", 2}}));
  upcasters.add({"D", 1}, {{"D", 2}}, [](const RecordedEvent&) -> Events { throw 7; });
  EXPECT_ERROR(upcasters.apply(event_of("A")), ErrorCode::upcast_failed, "the upcaster of A version 2 threw: no such");
  EXPECT_ERROR(upcasters.apply(event_of("A")), ErrorCode::upcast_failed, "01890a5d-ac96-774b-bcce-b302099a8057");
  EXPECT_ERROR(upcasters.apply(event_of("A")), ErrorCode::upcast_failed, "position 42");
  EXPECT_ERROR(upcasters.apply(event_of("B")), ErrorCode::upcast_failed, "B version 1 returned B version 3");
  EXPECT_ERROR(upcasters.apply(event_of("C")), ErrorCode::upcast_failed, "C version 1 returned C version 2");
  EXPECT_ERROR(upcasters.apply(event_of("D")), ErrorCode::upcast_failed, "D version 1 threw");
}

TEST(Upcasters, WhatCannotWorkIsRefusedWhenItIsAdded) {
  const auto same = [](const RecordedEvent&) { return Json("{}"); };
  Upcasters upcasters;
  upcasters.add("A", 1, same).add("A", 2, same);
  EXPECT_ERROR(upcasters.add("A", 1, same), ErrorCode::invalid_argument, "A version 1: there is one already");
  EXPECT_ERROR(upcasters.add({"A", 3}, {{"A", 1}}, makes({})), ErrorCode::invalid_argument, "comes back");
  EXPECT_ERROR(upcasters.add({"A", 3}, {{"A", 3}}, makes({})), ErrorCode::invalid_argument, "comes back");
  EXPECT_ERROR(upcasters.add({"A", 4}, {{"A", 5}}, {}), ErrorCode::invalid_argument, "no function");
  EXPECT_ERROR(upcasters.drop({"A", 1}), ErrorCode::invalid_argument, "there is one already");
  EXPECT_ERROR(upcasters.add("A", 4, {}), ErrorCode::invalid_argument, "no function");
  EXPECT_ERROR(upcasters.add("", 1, same), ErrorCode::invalid_argument, "empty");
  EXPECT_ERROR(upcasters.add("A", 0, same), ErrorCode::invalid_argument, "begin at 1");
  EXPECT_ERROR(upcasters.add({"A", 4}, {{"", 1}}, makes({})), ErrorCode::invalid_argument, "empty");
  // What was refused left nothing behind.
  upcasters.add("A", 3, same);
  EXPECT_EQ(forms(upcasters.apply(event_of("A", 1))), Names{"A/4"});
  // The same way twice is no way back.
  upcasters.add({"X", 1}, {{"A", 1}, {"A", 2}}, makes({{"A", 1}, {"A", 2}}));
  EXPECT_EQ(forms(upcasters.apply(event_of("X", 1))), (Names{"A/4", "A/4"}));
}

TEST(Upcasters, StoredTypesAreAllThatLeadThere) {
  Upcasters upcasters;
  upcasters.add("New", 1, [](const RecordedEvent&) { return Json("{}"); });
  upcasters.add({"Ancient", 1}, {{"Old", 1}}, makes({}));
  upcasters.add({"Old", 1}, {{"Middle", 1}}, makes({}));
  upcasters.add({"Middle", 1}, {{"New", 1}, {"Other", 1}}, makes({}));
  upcasters.drop({"Gone", 1});
  EXPECT_EQ(upcasters.stored_types({"New"}), (Names{"Ancient", "Middle", "New", "Old"}));
  EXPECT_EQ(upcasters.stored_types({"Other", "Gone"}), (Names{"Ancient", "Gone", "Middle", "Old", "Other"}));
  EXPECT_EQ(upcasters.stored_types({"Ancient"}), Names{"Ancient"});
  EXPECT_TRUE(upcasters.stored_types({}).empty());
}

// --- In reads

class ReadsOfToday : public ::testing::Test {
 protected:
  void SetUp() override {
    // Old becomes two, Gone becomes none, Kept stays.
    auto upcasters = std::make_shared<Upcasters>();
    upcasters->add({"Old", 1}, {{"First", 1}, {"Second", 1}}, makes({{"First", 1}, {"Second", 1}}));
    upcasters->drop({"Gone", 1});
    store.use_upcasters(upcasters);
  }

  void append(const Names& types) {
    std::vector<NewEvent> events;
    for (const std::string& type : types) events.push_back(testing::event_of(type));
    ASSERT_TRUE(store.append(key, ExpectedVersion::any(), std::move(events)).ok());
  }

  static Names read(EventReader reader) {
    Names names;
    for (const RecordedEvent& event : reader) names.push_back(event.type + std::to_string(event.version.value()));
    return names;
  }

  static LogReadOptions only(Names types) {
    LogReadOptions options;
    options.filter.event_types = std::move(types);
    return options;
  }

  const StreamKey key{"order", "7"};
  EventStore store = testing::memory_store();
};

TEST_F(ReadsOfToday, BothDirections) {
  append({"Old", "Kept", "Gone", "Old"});
  const Names forwards{"First1", "Second1", "Kept2", "First4", "Second4"};
  const Names backwards(forwards.rbegin(), forwards.rend());
  EXPECT_EQ(read(store.read_stream(key)), forwards);
  EXPECT_EQ(read(store.read_log()), forwards);
  EXPECT_EQ(read(store.read_stream(key, {.direction = Direction::backwards})), backwards);
  EXPECT_EQ(read(store.read_log({.direction = Direction::backwards})), backwards);
}

TEST_F(ReadsOfToday, AsStoredIsWithout) {
  append({"Old", "Kept", "Gone"});
  const Names stored{"Old1", "Kept2", "Gone3"};
  EXPECT_EQ(read(store.read_stream(key, {.as_stored = true})), stored);
  EXPECT_EQ(read(store.read_log({.as_stored = true})), stored);
  LogReadOptions old = only({"Old"});
  old.as_stored = true;
  EXPECT_EQ(read(store.read_log(old)), Names{"Old1"});
  EXPECT_TRUE(store.verify().violations.empty());
  store.use_upcasters(nullptr);
  EXPECT_EQ(read(store.read_log()), stored);
}

TEST_F(ReadsOfToday, ALimitCountsWhatIsGiven) {
  append({"Gone", "Old", "Gone", "Gone", "Kept", "Old"});
  const Names all{"First2", "Second2", "Kept5", "First6", "Second6"};
  for (std::size_t limit = 0; limit <= all.size() + 1; ++limit) {
    const std::size_t given = std::min(limit, all.size());
    const Names first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(given));
    const Names last(all.rbegin(), all.rbegin() + static_cast<std::ptrdiff_t>(given));
    EXPECT_EQ(read(store.read_stream(key, {.limit = limit})), first);
    EXPECT_EQ(read(store.read_log({.limit = limit})), first);
    EXPECT_EQ(read(store.read_log({.direction = Direction::backwards, .limit = limit})), last);
  }
}

TEST_F(ReadsOfToday, AFilterMeansTodaysTypes) {
  append({"Old", "Kept", "Gone", "First"});
  EXPECT_EQ(read(store.read_log(only({"First"}))), (Names{"First1", "First4"}));
  EXPECT_EQ(read(store.read_log(only({"Second", "Kept"}))), (Names{"Second1", "Kept2"}));
  EXPECT_TRUE(read(store.read_log(only({"Old"}))).empty());
  EXPECT_TRUE(read(store.read_log(only({"Gone"}))).empty());
  LogReadOptions second = only({"Second"});
  second.limit = 1;
  EXPECT_EQ(read(store.read_log(second)), Names{"Second1"});
}

/// Core promises drivers filters within the limits.
class StrictDriver final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    EXPECT_LE(request.filter->event_types.size(), 100U);
    ForwardingDriver::read_log(request, page);
  }
};

TEST_F(ReadsOfToday, MoreStoredTypesThanAFilterHolds) {
  store = EventStore(std::make_unique<StrictDriver>(testing::memory_driver()));
  auto upcasters = std::make_shared<Upcasters>();
  for (int i = 0; i < 150; ++i) {
    upcasters->add({"Old" + std::to_string(i), 1}, {{"New", 1}}, makes({{"New", 1}}));
  }
  store.use_upcasters(upcasters);
  append({"Old0", "Kept", "Old149", "New"});
  EXPECT_EQ(read(store.read_log(only({"New"}))), (Names{"New1", "New3", "New4"}));
}

TEST_F(ReadsOfToday, PagesOfWhatIsDroppedAreReadOn) {
  append(Names(1000, "Gone"));
  append({"Kept"});
  append(Names(1000, "Gone"));
  EXPECT_EQ(read(store.read_stream(key, {.limit = 2})), Names{"Kept1001"});
  EXPECT_EQ(read(store.read_log()), Names{"Kept1001"});
}

TEST_F(ReadsOfToday, AFailedUpcastIsMetAgain) {
  bool fails = true;
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add("Old", 1, [&](const RecordedEvent&) {
    if (fails) throw std::runtime_error("not now");
    return Json("{}");
  });
  store.use_upcasters(upcasters);
  append({"Kept", "Old", "Kept"});
  EventReader reader = store.read_log();
  ASSERT_NE(reader.next(), nullptr);
  EXPECT_ERROR(reader.next(), ErrorCode::upcast_failed, "Old version 1");
  EXPECT_ERROR(reader.next(), ErrorCode::upcast_failed, "Old version 1");
  fails = false;
  const RecordedEvent* event = reader.next();
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(form_of(*event), "Old/2");
  ASSERT_NE(event = reader.next(), nullptr);
  EXPECT_EQ(event->version, Version(3));
  EXPECT_EQ(reader.next(), nullptr);
}

TEST_F(ReadsOfToday, FindEventGivesWhatIsStored) {
  NewEvent old = testing::event_of("Old");
  old.event_id = Uuid::v7();
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), {old}).ok());
  EXPECT_EQ(store.find_event(*old.event_id)->type, "Old");
}

}  // namespace
}  // namespace stele
