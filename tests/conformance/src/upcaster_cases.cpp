// Upcasters: whatever the backend, reads and subscriptions give today's events, and what is stored stays.
#include <memory>
#include <nlohmann/json.hpp>

#include "support.h"

namespace stele::testing {
namespace {

using Strings = std::vector<std::string>;

std::vector<RecordedEvent> renamed(const RecordedEvent& event, const Strings& types) {
  std::vector<RecordedEvent> made;
  for (const std::string& type : types) {
    made.push_back(event);
    made.back().type = type;
    made.back().event_version = 1;
  }
  return made;
}

/// A name becomes two; then parts become known by kind, some at once and some by one more step; gossip is dropped.
std::shared_ptr<const Upcasters> history_of_an_application() {
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add("Named", 1, [](const RecordedEvent& event) {
    const std::string name = event.data.value().at("name").get<std::string>();
    const std::size_t space = name.find(' ');
    return Json(nlohmann::json{{"first", name.substr(0, space)}, {"last", name.substr(space + 1)}});
  });
  upcasters->add("Named", 2, [](const RecordedEvent& event) {
    nlohmann::json data = event.data.value();
    data["known"] = true;
    return Json(data);
  });
  upcasters->add({"Changed", 1}, {{"Moved", 1}, {"Grew", 1}}, [](const RecordedEvent& event) {
    const nlohmann::json data = event.data.value();
    Strings types;
    if (data.contains("to")) types.emplace_back("Moved");
    if (data.contains("by")) types.emplace_back("Grew");
    return renamed(event, types);
  });
  upcasters->add({"Grew", 1}, {{"Grown", 1}}, [](const RecordedEvent& event) { return renamed(event, {"Grown"}); });
  upcasters->drop({"Gossip", 1});
  return upcasters;
}

/// version:type.event_version of each.
Strings outline(const std::vector<RecordedEvent>& events) {
  Strings lines;
  for (const RecordedEvent& event : events) {
    lines.push_back(std::to_string(event.version.value()) + ":" + event.type + "." +
                    std::to_string(event.event_version));
  }
  return lines;
}

class Person {
 public:
  explicit Person(Harness& harness) : store(open_store(harness)) {
    const std::vector<NewEvent> stored{event("Named", R"({"name":"Ada Lovelace"})"),
                                       event("Gossip"),
                                       event("Changed", R"({"to":"London","by":2})"),
                                       event("Changed", R"({})"),
                                       event("Kept", R"({"n":1})"),
                                       event("Changed", R"({"by":3})"),
                                       event("Moved", R"({"to":"Paris"})")};
    if (!store.append(key, ExpectedVersion::no_stream(), stored).ok()) throw std::runtime_error("nothing to upcast");
    before = outline(stream_events(store, key));
    store.use_upcasters(history_of_an_application());
  }

  const StreamKey key = thing("ada");
  EventStore store;
  Strings before;
  const Strings today{"1:Named.3", "3:Moved.1", "3:Grown.1", "5:Kept.1", "6:Grown.1", "7:Moved.1"};
};

void reads_give_todays_events(Harness& harness) {
  Person person(harness);
  const std::vector<RecordedEvent> read = stream_events(person.store, person.key);
  EXPECT_EQ(outline(read), person.today);
  EXPECT_EQ(outline(log_events(person.store)), person.today);
  ASSERT_EQ(read.size(), 6u);
  EXPECT_EQ(read[0].data.canonical(), Json(R"({"first":"Ada","last":"Lovelace","known":true})").canonical());
  EXPECT_EQ(read[2].data.canonical(), Json(R"({"to":"London","by":2})").canonical());
}

void reads_go_backwards_too(Harness& harness) {
  Person person(harness);
  const Strings backwards(person.today.rbegin(), person.today.rend());
  EXPECT_EQ(outline(stream_events(person.store, person.key, {.direction = Direction::backwards})), backwards);
  EXPECT_EQ(outline(log_events(person.store, {.direction = Direction::backwards})), backwards);
}

void limits_count_what_is_given(Harness& harness) {
  Person person(harness);
  for (std::size_t limit = 0; limit <= 7; ++limit) {
    const std::size_t given = std::min(limit, person.today.size());
    const Strings first(person.today.begin(), person.today.begin() + static_cast<std::ptrdiff_t>(given));
    const Strings last(person.today.rbegin(), person.today.rbegin() + static_cast<std::ptrdiff_t>(given));
    EXPECT_EQ(outline(stream_events(person.store, person.key, {.limit = limit})), first);
    EXPECT_EQ(outline(log_events(person.store, {.limit = limit})), first);
    EXPECT_EQ(outline(log_events(person.store, {.direction = Direction::backwards, .limit = limit})), last);
  }
}

void what_is_stored_stays(Harness& harness) {
  Person person(harness);
  EXPECT_EQ(outline(stream_events(person.store, person.key, {.as_stored = true})), person.before);
  EXPECT_EQ(outline(log_events(person.store, {.as_stored = true})), person.before);
  EXPECT_TRUE(person.store.verify().violations.empty());
  EventStore other = open_store(harness);
  EXPECT_EQ(outline(stream_events(other, person.key)), person.before);
}

void filters_mean_todays_types(Harness& harness) {
  Person person(harness);
  const auto read = [&](Strings types, bool as_stored = false) {
    LogReadOptions options;
    options.filter.event_types = std::move(types);
    options.as_stored = as_stored;
    return outline(log_events(person.store, options));
  };
  EXPECT_EQ(read({"Grown"}), (Strings{"3:Grown.1", "6:Grown.1"}));
  EXPECT_EQ(read({"Moved"}), (Strings{"3:Moved.1", "7:Moved.1"}));
  EXPECT_EQ(read({"Named", "Grown", "Never"}), (Strings{"1:Named.3", "3:Grown.1", "6:Grown.1"}));
  EXPECT_TRUE(read({"Changed"}).empty());
  EXPECT_TRUE(read({"Gossip"}).empty());
  EXPECT_EQ(read({"Changed"}, true), (Strings{"3:Changed.1", "4:Changed.1", "6:Changed.1"}));
}

void pages_of_what_is_dropped(Harness& harness) {
  Person person(harness);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        person.store.append(person.key, ExpectedVersion::any(), std::vector<NewEvent>(300, event("Gossip"))).ok());
    ASSERT_TRUE(person.store.append(person.key, ExpectedVersion::any(), {event("Kept")}).ok());
  }
  Strings today = person.today;
  today.insert(today.end(), {"308:Kept.1", "609:Kept.1", "910:Kept.1"});
  EXPECT_EQ(outline(stream_events(person.store, person.key)), today);
  EXPECT_EQ(outline(log_events(person.store)), today);
  EXPECT_EQ(outline(log_events(person.store, {.direction = Direction::backwards, .limit = 2})),
            (Strings{"910:Kept.1", "609:Kept.1"}));
}

void subscriptions_are_given_todays_events(Harness& harness) {
  Person person(harness);
  for (const bool filtered : {false, true}) {
    SubscriptionOptions options;
    options.name = filtered ? "filtered" : "all";
    if (filtered) options.filter.event_types = {"Grown"};
    std::vector<RecordedEvent> given;
    Subscription subscription(person.store, options, [&](const RecordedEvent& event) { given.push_back(event); });
    // What is dropped at the end does not hold the position back.
    const AppendResult gossip =
        person.store.append(person.key, ExpectedVersion::any(), {event("Gossip"), event("Gossip")});
    ASSERT_TRUE(subscription.wait_for(gossip.last_position(), patience()));
    subscription.stop();
    EXPECT_EQ(outline(given), filtered ? (Strings{"3:Grown.1", "6:Grown.1"}) : person.today);
    const auto state = person.store.driver().find_projection({*options.name, ""});
    ASSERT_TRUE(state);
    EXPECT_EQ(state->checkpoints.at(0).position, gossip.last_position());
  }
}

constexpr Case all_upcaster_cases[] = {
    {"API", "reads_give_todays_events", reads_give_todays_events},
    {"API", "reads_go_backwards_too", reads_go_backwards_too},
    {"API", "limits_count_what_is_given", limits_count_what_is_given},
    {"API", "what_is_stored_stays", what_is_stored_stays},
    {"API", "filters_mean_todays_types", filters_mean_todays_types},
    {"API", "pages_of_what_is_dropped", pages_of_what_is_dropped},
    {"G13", "subscriptions_are_given_todays_events", needs_read_models, subscriptions_are_given_todays_events},
};

}  // namespace

std::span<const Case> upcaster_cases() {
  return all_upcaster_cases;
}

}  // namespace stele::testing
