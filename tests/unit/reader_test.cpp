// The lazy readers: pages, limits, and errors on the way.
#include <gtest/gtest.h>

#include <limits>

#include "error_of.h"
#include "memory_store.h"
#include "stele/testing/forwarding_driver.h"

namespace stele {
namespace {

/// What a test sees of the pages that a reader asks for, and what it makes of them.
struct Pages {
  std::vector<driver::PageLimits> limits;
  int fail_at = -1;        // This page fails, and it does so once.
  bool half_full = false;  // It fails behind the half of its events.
};

class PagesDriver final : public testing::ForwardingDriver {
 public:
  PagesDriver(std::unique_ptr<driver::Driver> inner, Pages& pages)
      : ForwardingDriver(std::move(inner)), pages_(pages) {}

  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    inner().read_stream(request, page);
    see(request.limits, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    inner().read_log(request, page);
    see(request.limits, page);
  }

 private:
  void see(const driver::PageLimits& limits, driver::EventPage& page) {
    const int number = static_cast<int>(pages_.limits.size());
    pages_.limits.push_back(limits);
    if (number != pages_.fail_at) return;
    if (pages_.half_full) {
      for (std::size_t i = page.size() / 2; i > 0; --i) page.drop_last();
    } else {
      page.clear();
    }
    Error::Details details;
    details.retryable = true;
    throw Error(ErrorCode::busy, "held by another", details);
  }

  Pages& pages_;
};

class Reader : public ::testing::Test {
 protected:
  void fill(int events) {
    std::vector<NewEvent> made;
    for (int i = 0; i < events; ++i) made.push_back(testing::event_of("E", "{\"n\":" + std::to_string(i + 1) + "}"));
    ASSERT_TRUE(store.append(key, ExpectedVersion::any(), std::move(made)).ok());
  }

  std::vector<std::int64_t> versions(EventReader reader) {
    std::vector<std::int64_t> read;
    for (const RecordedEvent& event : reader) read.push_back(event.version.value());
    return read;
  }

  std::vector<std::size_t> page_sizes() const {
    std::vector<std::size_t> sizes;
    for (const driver::PageLimits& limits : pages.limits) sizes.push_back(limits.max_events);
    return sizes;
  }

  static std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
    std::vector<std::int64_t> numbers;
    if (from <= to) {
      for (std::int64_t i = from; i <= to; ++i) numbers.push_back(i);
    } else {
      for (std::int64_t i = from; i >= to; --i) numbers.push_back(i);
    }
    return numbers;
  }

  const StreamKey key{"order", "7"};
  Pages pages;
  EventStore store{std::make_unique<PagesDriver>(testing::memory_driver(), pages)};
};

using Sizes = std::vector<std::size_t>;

TEST_F(Reader, GivesAllEventsInOrderWhateverThePages) {
  fill(2000);
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    const auto expected = direction == Direction::forwards ? range(1, 2000) : range(2000, 1);
    EXPECT_EQ(versions(store.read_stream(key, {.direction = direction})), expected);
    EXPECT_EQ(versions(store.read_log({.direction = direction})), expected);
  }
}

TEST_F(Reader, PagesGrow) {
  fill(2000);
  versions(store.read_stream(key));
  EXPECT_EQ(page_sizes(), (Sizes{64, 128, 256, 512, 512, 512, 512}));
  for (const driver::PageLimits& limits : pages.limits) EXPECT_EQ(limits.max_bytes, 1U << 20);
}

TEST_F(Reader, AsksForNoMoreThanTheLimit) {
  fill(300);
  EXPECT_EQ(versions(store.read_stream(key, {.limit = 10})), range(1, 10));
  EXPECT_EQ(page_sizes(), Sizes{10});
  pages.limits.clear();
  EXPECT_EQ(versions(store.read_log({.limit = 100})), range(1, 100));
  EXPECT_EQ(page_sizes(), (Sizes{64, 36}));
  pages.limits.clear();
  EXPECT_TRUE(versions(store.read_stream(key, {.limit = 0})).empty());
  EXPECT_TRUE(pages.limits.empty());
  EXPECT_EQ(versions(store.read_stream(key, {.limit = 1'000'000})), range(1, 300));
}

TEST_F(Reader, ReadsNothingBeforeItIsAsked) {
  fill(10);
  EventReader reader = store.read_stream(key);
  EXPECT_TRUE(pages.limits.empty());
  ASSERT_NE(reader.next(), nullptr);
  EXPECT_EQ(pages.limits.size(), 1U);
}

TEST_F(Reader, HoldsItsBoundsInBothDirections) {
  fill(200);
  EXPECT_EQ(versions(store.read_stream(key, {.from = Version(70), .to = Version(140)})), range(70, 140));
  EXPECT_EQ(
      versions(store.read_stream(key, {.direction = Direction::backwards, .from = Version(70), .to = Version(140)})),
      range(140, 70));
  EXPECT_EQ(versions(store.read_log({.after = Position(70), .before = Position(140)})), range(71, 139));
  EXPECT_EQ(
      versions(store.read_log({.direction = Direction::backwards, .after = Position(70), .before = Position(140)})),
      range(139, 71));
  EXPECT_EQ(versions(store.read_stream(key, {.from = Version(200)})), range(200, 200));
}

TEST_F(Reader, EmptyRangesAreNotAskedFor) {
  fill(3);
  EXPECT_TRUE(versions(store.read_stream(key, {.from = Version(3), .to = Version(2)})).empty());
  EXPECT_TRUE(versions(store.read_stream(key, {.to = Version(0)})).empty());
  EXPECT_TRUE(versions(store.read_log({.after = Position(1), .before = Position(2)})).empty());
  EXPECT_TRUE(versions(store.read_log({.after = Position(5), .before = Position(0)})).empty());
  EXPECT_TRUE(versions(store.read_log({.after = Position(std::numeric_limits<std::int64_t>::max())})).empty());
  EXPECT_TRUE(pages.limits.empty());
  EXPECT_TRUE(versions(store.read_stream(key, {.from = Version(std::numeric_limits<std::int64_t>::max())})).empty());
  EXPECT_TRUE(versions(store.read_stream(StreamKey("no", "such"))).empty());
}

TEST_F(Reader, StaysAtTheEnd) {
  fill(2);
  EventReader reader = store.read_stream(key);
  EXPECT_NE(reader.next(), nullptr);
  EXPECT_NE(reader.next(), nullptr);
  EXPECT_EQ(reader.next(), nullptr);
  fill(1);
  EXPECT_EQ(reader.next(), nullptr);
}

TEST_F(Reader, ARetryAfterAnErrorLosesNothing) {
  fill(1000);
  const std::size_t whole = (versions(store.read_stream(key)), pages.limits.size());
  ASSERT_GE(whole, 4U);
  for (const bool log : {false, true}) {
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
      for (const bool half_full : {false, true}) {
        for (int fail_at = 0; fail_at < static_cast<int>(whole); ++fail_at) {
          SCOPED_TRACE("page " + std::to_string(fail_at));
          pages = {.limits = {}, .fail_at = fail_at, .half_full = half_full};
          EventReader reader =
              log ? store.read_log({.direction = direction}) : store.read_stream(key, {.direction = direction});
          std::vector<std::int64_t> read;
          int failures = 0;
          for (bool more = true; more;) {
            try {
              const RecordedEvent* event = reader.next();
              more = event != nullptr;
              if (more) read.push_back(event->version.value());
            } catch (const Error& error) {
              ASSERT_EQ(error.code(), ErrorCode::busy);
              ASSERT_LT(++failures, 5);
            }
          }
          EXPECT_EQ(failures, 1);
          EXPECT_EQ(read, direction == Direction::forwards ? range(1, 1000) : range(1000, 1));
        }
      }
    }
  }
}

TEST_F(Reader, ARetryKeepsTheLimit) {
  fill(300);
  pages.fail_at = 1;
  EventReader reader = store.read_stream(key, {.limit = 100});
  std::vector<std::int64_t> read;
  int failures = 0;
  for (bool more = true; more;) {
    try {
      const RecordedEvent* event = reader.next();
      more = event != nullptr;
      if (more) read.push_back(event->version.value());
    } catch (const Error&) {
      ASSERT_LT(++failures, 5);
    }
  }
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(read, range(1, 100));
}

TEST_F(Reader, MovesWithItsPlace) {
  fill(100);
  EventReader first = store.read_stream(key);
  for (int i = 0; i < 70; ++i) ASSERT_NE(first.next(), nullptr);
  EventReader second = std::move(first);
  const RecordedEvent* event = second.next();
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->version, Version(71));
  EventReader third = store.read_stream(key);
  third = std::move(second);
  EXPECT_EQ(third.next()->version, Version(72));
}

TEST_F(Reader, LargeEventsMakeSmallPages) {
  std::vector<NewEvent> made;
  for (int i = 0; i < 40; ++i) made.push_back(testing::event_of("E", "[\"" + std::string(100'000, 'x') + "\"]"));
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), std::move(made)).ok());
  EXPECT_EQ(versions(store.read_stream(key)), range(1, 40));
  EXPECT_EQ(pages.limits.size(), 4U);  // Ten of them fit into a mebibyte.
  // An event that is larger than a page is a page of its own.
  ASSERT_TRUE(store
                  .append(StreamKey("big", "1"), ExpectedVersion::any(),
                          {testing::event_of("E", "[\"" + std::string(2'000'000, 'x') + "\"]"),
                           testing::event_of("E", "[\"" + std::string(2'000'000, 'y') + "\"]")})
                  .ok());
  EXPECT_EQ(versions(store.read_stream(StreamKey("big", "1"))), range(1, 2));
}

TEST_F(Reader, EventsAppendedWhileReadingAreGivenToo) {
  fill(100);
  EventReader stream = store.read_stream(key);
  EventReader bounded = store.read_stream(key, {.to = Version(105)});
  EventReader log = store.read_log();
  for (EventReader* reader : {&stream, &bounded, &log}) ASSERT_NE(reader->next(), nullptr);
  fill(10);
  EXPECT_EQ(versions(std::move(stream)), range(2, 110));
  EXPECT_EQ(versions(std::move(bounded)), range(2, 105));
  EXPECT_EQ(versions(std::move(log)), range(2, 110));
}

}  // namespace
}  // namespace stele
