// verify() finds what is broken, and nothing in a store that is not.
#include <atomic>
#include <set>

#include "support.h"

namespace stele::testing {
namespace {

/// What corruptions() may count on, and a little of everything else.
void fill_for_verify(EventStore& store) {
  for (int i = 1; i <= 4; ++i) {
    const std::string id = std::to_string(i);
    std::vector<NewEvent> made = {full_event(2 * i), full_event(2 * i + 1)};
    for (NewEvent& event : events(4)) made.push_back(event);
    ASSERT_TRUE(store.append(request(command("r-" + id), thing("s-" + id), ExpectedVersion::no_stream(), made)).ok());
  }
  AppendRequest both = request(command("both"), thing("s-1"), ExpectedVersion::any(), events(2));
  both.streams.push_back({thing("s-2"), ExpectedVersion::any(), events(1)});
  ASSERT_TRUE(store.append(both).ok());
  ASSERT_TRUE(store.append(StreamKey("other", "thing", "s-1"), ExpectedVersion::any(), events(5)).ok());
  ASSERT_TRUE(store.record_command(command("without-events")).ok());
  expect_status(AppendStatus::conflict, store.append(thing("s-1"), ExpectedVersion::no_stream(), events(1)));
}

std::string text(const VerifyReport& report) {
  std::string text;
  for (const Violation& violation : report.violations) {
    text += violation.guarantee + " " + violation.where + ": " + violation.what + "\n";
  }
  return text;
}

void an_empty_store_is_fine(Harness& harness) {
  EventStore store = open_store(harness);
  const VerifyReport report = store.verify();
  EXPECT_EQ(text(report), "");
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.events, 0);
  EXPECT_EQ(report.streams, 0);
  EXPECT_EQ(report.commands, 0);
  EXPECT_FALSE(report.checks.empty());
}

void a_full_store_is_fine(Harness& harness) {
  EventStore store = open_store(harness);
  fill_for_verify(store);
  const std::string before = contents(store);
  const VerifyReport report = store.verify();
  EXPECT_EQ(contents(store), before) << "verify writes";
  EXPECT_EQ(text(report), "");
  EXPECT_TRUE(report.ok());
  const StoreStats stats = store.stats();
  EXPECT_EQ(report.events, stats.events);
  EXPECT_EQ(report.streams, stats.streams);
  EXPECT_GE(report.commands, 5);  // Those with events.
  EXPECT_EQ(stats.events, 32);
  EXPECT_EQ(stats.streams, 5);
  EXPECT_EQ(stats.commands, 6);
  EXPECT_EQ(std::set<std::string>(report.checks.begin(), report.checks.end()).size(), report.checks.size());
}

// Several pages of every list that verify walks through.
void a_large_store_is_fine(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> requests;
  for (int i = 0; i < rounds(2500, 250); ++i) {
    requests.push_back(
        request(command(std::to_string(i)), thing("s-" + std::to_string(i)), ExpectedVersion::any(), events(2)));
  }
  for (const AppendResult& result : store.append_all(requests)) ASSERT_TRUE(result.ok());
  std::int64_t last = 0;
  VerifyOptions options;
  options.on_progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_LE(done, total);
    last = done;
  };
  const VerifyReport report = store.verify(options);
  EXPECT_TRUE(quick() || last > 0) << "no progress was reported";
  EXPECT_EQ(text(report), "");
  EXPECT_EQ(report.streams, static_cast<std::int64_t>(requests.size()));
  EXPECT_EQ(report.events, static_cast<std::int64_t>(2 * requests.size()));
  EXPECT_GE(report.commands, static_cast<std::int64_t>(requests.size()));
}

void verify_while_writers_append_is_fine(Harness& harness) {
  EventStore store = open_store(harness);
  std::atomic<bool> writing = true;
  in_threads(3, [&](int i) {
    if (i == 0) {
      for (int n = 0; n < rounds(10, 3); ++n) EXPECT_EQ(text(store.verify()), "");
      writing = false;
      return;
    }
    EventStore mine = open_store(harness);
    // Not more than verify can get through, and some even when it was done before this thread began.
    for (int n = 0; n < 3 || (writing && n < 2000); ++n) {
      const AppendRequest append = request(command(std::to_string(i) + "/" + std::to_string(n)),
                                           thing(std::to_string(n % 7)), ExpectedVersion::any(), events(3));
      EXPECT_TRUE(mine.append(append).ok());
    }
  });
  const VerifyReport report = store.verify();
  EXPECT_EQ(text(report), "");
  EXPECT_GT(report.events, 0);
}

void every_corruption_is_reported(Harness& harness) {
  const std::vector<RawScript> corruptions = harness.corruptions();
  EXPECT_GE(corruptions.size(), 8u) << "too few to believe in";
  for (const RawScript& corruption : corruptions) {
    SCOPED_TRACE(corruption.name);
    const std::unique_ptr<Harness> damaged = another_harness();
    EventStore store = open_store(*damaged);
    fill_for_verify(store);
    ASSERT_EQ(text(store.verify()), "");
    store.close();
    for (const std::string& statement : corruption.statements) {
      ASSERT_EQ(damaged->raw_sql(statement), "") << "the damage could not be done: " << statement;
    }
    try {
      EventStore again = open_store(*damaged);
      const VerifyReport report = again.verify();
      EXPECT_FALSE(report.ok()) << "verify did not notice";
      for (const Violation& violation : report.violations) {
        EXPECT_FALSE(violation.guarantee.empty() || violation.where.empty() || violation.what.empty()) << text(report);
      }
      VerifyOptions only_one;
      only_one.max_violations = 1;
      EXPECT_EQ(again.verify(only_one).violations.size(), 1u);
    } catch (const Error& error) {
      // A report too, when the database cannot go on at all.
      EXPECT_EQ(to_string(error.code()), "corrupt") << error.what();
    }
  }
}

constexpr Case all_verify_cases[] = {
    {"API", "an_empty_store_is_fine", an_empty_store_is_fine},
    {"API", "a_full_store_is_fine", a_full_store_is_fine},
    {"API", "a_large_store_is_fine", a_large_store_is_fine},
    {"API", "verify_while_writers_append_is_fine", verify_while_writers_append_is_fine},
    {"API", "every_corruption_is_reported", Capability::corruption, every_corruption_is_reported},
};

}  // namespace

std::span<const Case> verify_cases() {
  return all_verify_cases;
}

}  // namespace stele::testing
