// Expected versions, on the streams that an append writes to and on those that it only checks.

#include "support.h"

namespace stele::testing {
namespace {

void no_stream_holds_for_a_missing_stream(Harness& harness) {
  EventStore store = open_store(harness);
  expect_appended(store.append(thing("a"), ExpectedVersion::no_stream(), events(1)), 1, 1);
  expect_nothing_written(store, [&] {
    expect_conflict(store.append(thing("a"), ExpectedVersion::no_stream(), events(1)), thing("a"),
                    ExpectedVersion::no_stream(), 1);
  });
}

void exactly_0_is_no_stream(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_EQ(ExpectedVersion::exactly(0), ExpectedVersion::no_stream());
  expect_appended(store.append(thing("a"), ExpectedVersion::exactly(0), events(1)), 1, 1);
  expect_nothing_written(store, [&] {
    expect_conflict(store.append(thing("a"), ExpectedVersion::exactly(0), events(1)), thing("a"),
                    ExpectedVersion::no_stream(), 1);
  });
}

void stream_exists_needs_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  expect_nothing_written(store, [&] {
    expect_conflict(store.append(thing("a"), ExpectedVersion::stream_exists(), events(1)), thing("a"),
                    ExpectedVersion::stream_exists(), 0);
    store.append(thing("a"), ExpectedVersion::any(), {});  // Does not make the stream exist.
    expect_conflict(store.append(thing("a"), ExpectedVersion::stream_exists(), events(1)), thing("a"),
                    ExpectedVersion::stream_exists(), 0);
  });
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  expect_appended(store.append(thing("a"), ExpectedVersion::stream_exists(), events(2, 2)), 2, 3);
}

void exactly_needs_this_version(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(3));
  expect_nothing_written(store, [&] {
    for (const std::int64_t wrong : {1, 2, 4, 5, 1'000'000}) {
      expect_conflict(store.append(thing("a"), ExpectedVersion::exactly(wrong), events(1)), thing("a"),
                      ExpectedVersion::exactly(wrong), 3);
    }
  });
  expect_appended(store.append(thing("a"), ExpectedVersion::exactly(3), events(1, 4)), 4, 4);
  expect_appended(store.append(thing("a"), ExpectedVersion::exactly(4), events(1, 5)), 5, 5);
}

void a_version_beyond_32_bits_is_not_cut(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  for (const std::int64_t wrong : {(std::int64_t{1} << 32) + 1, (std::int64_t{1} << 53) + 1, INT64_MAX}) {
    expect_conflict(store.append(thing("a"), ExpectedVersion::exactly(wrong), events(1)), thing("a"),
                    ExpectedVersion::exactly(wrong), 1);
  }
  expect_conflict(store.append(thing("b"), ExpectedVersion::exactly(std::int64_t{1} << 32), events(1)), thing("b"),
                  ExpectedVersion::exactly(std::int64_t{1} << 32), 0);
}

void every_expectation_against_every_version(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<ExpectedVersion> expectations{ExpectedVersion::any(),           ExpectedVersion::no_stream(),
                                                  ExpectedVersion::stream_exists(), ExpectedVersion::exactly(1),
                                                  ExpectedVersion::exactly(2),      ExpectedVersion::exactly(3),
                                                  ExpectedVersion::exactly(0)};
  for (const bool only_check : {false, true}) {
    for (int version = 0; version <= 3; ++version) {
      for (std::size_t i = 0; i < expectations.size(); ++i) {
        const StreamKey stream = thing((only_check ? "c" : "w") + std::to_string(version) + "-" + std::to_string(i));
        SCOPED_TRACE("a stream at " + std::to_string(version) + ", expected " + expectations[i].to_string());
        if (version > 0) store.append(stream, ExpectedVersion::any(), events(version));
        AppendRequest asked = request(stream, expectations[i], events(1, version + 1));
        if (only_check) {
          asked = request(thing("other"), ExpectedVersion::any(), events(1));
          asked.conditions.push_back({stream, expectations[i]});
        }
        const AppendResult result = store.append(asked);
        if (expectations[i].holds_for(Version(version))) {
          expect_status(AppendStatus::appended, result);
          EXPECT_EQ(store.stream_version(stream).value(), only_check ? version : version + 1);
        } else {
          expect_conflict(result, stream, expectations[i], version);
          EXPECT_EQ(store.stream_version(stream).value(), version);
        }
      }
    }
  }
}

void a_negative_version_is_refused(Harness& harness) {
  EventStore store = open_store(harness);
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "expected version",
                 [&] { store.append(thing("a"), ExpectedVersion::exactly(-1), events(1)); });
    AppendRequest asked = request(thing("a"), ExpectedVersion::any(), events(1));
    asked.conditions.push_back({thing("b"), ExpectedVersion::exactly(INT64_MIN)});
    expect_error(ErrorCode::invalid_argument, "expected version", [&] { store.append(asked); });
  });
}

void a_loser_reloads_and_wins(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1, 1));
  const Version seen = store.stream_version(thing("a"));
  store.append(thing("a"), ExpectedVersion::exactly(seen), events(2, 2));
  const AppendResult lost = store.append(thing("a"), ExpectedVersion::exactly(seen), events(1, 9));
  expect_conflict(lost, thing("a"), ExpectedVersion::exactly(seen), 3);
  ASSERT_TRUE(lost.conflict);
  expect_appended(store.append(thing("a"), ExpectedVersion::exactly(lost.conflict->actual), events(1, 4)), 4, 4);
  expect_numbers(store, thing("a"), {1, 2, 3, 4});
}

void conflicts_burn_no_version(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::no_stream(), events(1, 1));
  for (int i = 0; i < 20; ++i) {
    expect_status(AppendStatus::conflict, store.append(thing("a"), ExpectedVersion::no_stream(), events(3, 50)));
  }
  expect_appended(store.append(thing("a"), ExpectedVersion::exactly(1), events(1, 2)), 2, 2);
  expect_numbers(store, thing("a"), {1, 2});
}

void each_stream_has_its_own_expectation(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("b"), ExpectedVersion::any(), events(2));
  AppendRequest asked = request(thing("a"), ExpectedVersion::no_stream(), events(1));
  asked.streams.push_back({thing("b"), ExpectedVersion::exactly(2), events(1, 3)});
  asked.streams.push_back({thing("c"), ExpectedVersion::any(), events(1)});
  expect_status(AppendStatus::appended, store.append(asked));
  expect_numbers(store, thing("b"), {1, 2, 3});
}

void the_first_conflict_is_named(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = request(thing("z"), ExpectedVersion::any(), events(1));
  asked.streams.push_back({thing("y"), ExpectedVersion::exactly(1), events(1)});
  asked.streams.push_back({thing("x"), ExpectedVersion::exactly(2), events(1)});
  asked.conditions.push_back({thing("b"), ExpectedVersion::exactly(3)});
  asked.conditions.push_back({thing("a"), ExpectedVersion::exactly(4)});
  expect_nothing_written(store, [&] {
    // In the request's order, which is not the order of the keys; streams come before conditions.
    expect_conflict(store.append(asked), thing("y"), ExpectedVersion::exactly(1), 0);
    asked.streams[1].expected = ExpectedVersion::no_stream();
    expect_conflict(store.append(asked), thing("x"), ExpectedVersion::exactly(2), 0);
    asked.streams[2].expected = ExpectedVersion::any();
    expect_conflict(store.append(asked), thing("b"), ExpectedVersion::exactly(3), 0);
    asked.conditions[0].expected = ExpectedVersion::no_stream();
    expect_conflict(store.append(asked), thing("a"), ExpectedVersion::exactly(4), 0);
  });
  asked.conditions[1].expected = ExpectedVersion::any();
  expect_status(AppendStatus::appended, store.append(asked));
}

// --- Conditions

void a_condition_that_holds(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("account"), ExpectedVersion::any(), events(2));
  AppendRequest asked = request(thing("order"), ExpectedVersion::no_stream(), events(1));
  asked.conditions.push_back({thing("account"), ExpectedVersion::exactly(2)});
  asked.conditions.push_back({thing("missing"), ExpectedVersion::no_stream()});
  asked.conditions.push_back({thing("missing too"), ExpectedVersion::any()});
  const AppendResult result = store.append(asked);
  expect_appended(result, 1, 1);  // No outcome for the condition's stream.
  EXPECT_EQ(result.streams.at(0).stream, thing("order"));
  EXPECT_EQ(store.stream_version(thing("account")).value(), 2);
  EXPECT_FALSE(store.stream_info(thing("missing")));
  EXPECT_FALSE(store.stream_info(thing("missing too")));
}

void a_condition_that_does_not_hold(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("account"), ExpectedVersion::any(), events(2));
  AppendRequest asked = request(thing("order"), ExpectedVersion::no_stream(), {full_event(1)});
  asked.conditions.push_back({thing("other"), ExpectedVersion::no_stream()});
  asked.conditions.push_back({thing("account"), ExpectedVersion::exactly(1)});
  expect_nothing_written(
      store, [&] { expect_conflict(store.append(asked), thing("account"), ExpectedVersion::exactly(1), 2); });
  EXPECT_FALSE(store.stream_info(thing("order")));
  asked.conditions[1].expected = ExpectedVersion::stream_exists();
  expect_appended(store.append(asked), 1, 1);
}

void conditions_alone_only_check(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  AppendRequest asked;
  asked.conditions.push_back({thing("a"), ExpectedVersion::exactly(2)});
  asked.conditions.push_back({thing("b"), ExpectedVersion::no_stream()});
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(asked);
    expect_status(AppendStatus::appended, result);
    EXPECT_TRUE(result.streams.empty());
    asked.conditions.back().expected = ExpectedVersion::stream_exists();
    expect_conflict(store.append(asked), thing("b"), ExpectedVersion::stream_exists(), 0);
  });
}

void many_conditions_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = request(thing("new"), ExpectedVersion::no_stream(), events(1));
  for (int i = 0; i < 200; ++i) {
    const StreamKey stream = thing("s" + std::to_string(i));
    if (i % 2 == 0) store.append(stream, ExpectedVersion::any(), events(1 + i % 3));
    asked.conditions.push_back(
        {stream, i % 2 == 0 ? ExpectedVersion::exactly(1 + i % 3) : ExpectedVersion::no_stream()});
  }
  asked.conditions[150].expected = ExpectedVersion::exactly(9);
  expect_conflict(store.append(asked), thing("s150"), ExpectedVersion::exactly(9), 1);
  asked.conditions[150].expected = ExpectedVersion::exactly(1);
  expect_appended(store.append(asked), 1, 1);
}

void a_condition_of_a_command_counts(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked;
  asked.command = command("r1");
  asked.conditions.push_back({thing("a"), ExpectedVersion::stream_exists()});
  expect_nothing_written(
      store, [&] { expect_conflict(store.append(asked), thing("a"), ExpectedVersion::stream_exists(), 0); });
  EXPECT_FALSE(store.is_command_processed(asked.command->key));
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  expect_status(AppendStatus::appended, store.append(asked));
  EXPECT_TRUE(store.is_command_processed(asked.command->key));
}

constexpr Case all_expected_version_cases[] = {
    {"G3", "no_stream_holds_for_a_missing_stream", no_stream_holds_for_a_missing_stream},
    {"G3", "exactly_0_is_no_stream", exactly_0_is_no_stream},
    {"G3", "stream_exists_needs_an_event", stream_exists_needs_an_event},
    {"G3", "exactly_needs_this_version", exactly_needs_this_version},
    {"G3", "a_version_beyond_32_bits_is_not_cut", a_version_beyond_32_bits_is_not_cut},
    {"G3", "every_expectation_against_every_version", every_expectation_against_every_version},
    {"G3", "a_negative_version_is_refused", a_negative_version_is_refused},
    {"G3", "a_loser_reloads_and_wins", a_loser_reloads_and_wins},
    {"G2", "conflicts_burn_no_version", conflicts_burn_no_version},
    {"G3", "each_stream_has_its_own_expectation", each_stream_has_its_own_expectation},
    {"G3", "the_first_conflict_is_named", the_first_conflict_is_named},
    {"G3", "a_condition_that_holds", a_condition_that_holds},
    {"G3", "a_condition_that_does_not_hold", a_condition_that_does_not_hold},
    {"G3", "conditions_alone_only_check", conditions_alone_only_check},
    {"G3", "many_conditions_at_once", many_conditions_at_once},
    {"G3", "a_condition_of_a_command_counts", a_condition_of_a_command_counts},
};

}  // namespace

std::span<const Case> expected_version_cases() {
  return all_expected_version_cases;
}

}  // namespace stele::testing
