#include "stele/relay.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <sstream>
#include <stdexcept>

#include "controlled_driver.h"
#include "error_of.h"
#include "stele/event_json.h"

namespace stele {
namespace {

using namespace std::chrono_literals;
using testing::comes_true;
using testing::patience;
using State = Subscription::State;
using Batches = std::vector<std::vector<std::int64_t>>;

/// Remembers every call, also those that fail.
class Remembering final : public Publisher {
 public:
  void publish(std::span<const RecordedEvent> events) override {
    int failing = 0;
    {
      const std::lock_guard lock(mutex_);
      std::vector<std::int64_t>& batch = batches_.emplace_back();
      for (const RecordedEvent& event : events) batch.push_back(event.position.value());
      failing = failures_ > 0 ? failures_-- : 0;
    }
    if (during) during();
    if (failing > 0) throw std::runtime_error("the other side is away");
  }
  void fail(int times) {
    const std::lock_guard lock(mutex_);
    failures_ = times;
  }
  Batches batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

  std::function<void()> during;

 private:
  std::mutex mutex_;
  Batches batches_;
  int failures_ = 0;
};

class Relaying : public ::testing::Test {
 protected:
  Position append(int count = 1, const std::string& type = "E") {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) events.push_back(testing::event_of(type));
    return store.append(StreamKey("order", "7"), ExpectedVersion::any(), std::move(events)).or_throw().last_position();
  }
  RelayOptions options(std::size_t batch = 3) {
    RelayOptions options;
    options.name = "outbox";
    options.batch = batch;
    options.poll_interval = 1h;
    options.first_pause = 1ms;
    options.longest_pause = 2ms;
    options.trouble = [this](const Error&) { ++troubles; };
    return options;
  }
  Position saved() { return store.driver().find_projection({"outbox", ""})->checkpoints.at(0).position; }

  testing::Control control;
  EventStore store{std::make_unique<testing::ControlledDriver>(testing::memory_driver(), control)};
  const std::shared_ptr<Remembering> publisher = std::make_shared<Remembering>();
  std::atomic<int> troubles{0};
};

TEST_F(Relaying, HandsOverInBatchesAndLiveAfterwards) {
  append(7);
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(7), patience));
  ASSERT_TRUE(relay.wait_for(append(), patience));
  EXPECT_EQ(publisher->batches(), (Batches{{1, 2, 3}, {4, 5, 6}, {7}, {8}}));
  EXPECT_TRUE(comes_true([&] { return relay.state() == State::live; }));
  relay.stop();
  EXPECT_EQ(relay.state(), State::stopped);
  EXPECT_EQ(relay.position(), Position(8));
  EXPECT_FALSE(relay.error());
}

TEST_F(Relaying, WhatCannotBePublishedComesAgainWholeAndInOrder) {
  append(5);
  publisher->fail(10);
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(5), patience));
  Batches expected(10, {1, 2, 3});
  expected.insert(expected.end(), {{1, 2, 3}, {4, 5}});
  EXPECT_EQ(publisher->batches(), expected);
  EXPECT_EQ(troubles, 10);
}

TEST_F(Relaying, TheCheckpointMovesWhenPublishHasReturned) {
  append(6);
  std::vector<std::int64_t> checkpoints;
  publisher->during = [&] { checkpoints.push_back(saved().value()); };
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(6), patience));
  relay.stop();
  EXPECT_EQ(checkpoints, (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(saved(), Position(6));
}

TEST_F(Relaying, ACrashBeforeTheCheckpointPublishesAgain) {
  append(3);
  control.fail("begin_read_model", 1'000'000);
  {
    Relay relay(store, publisher, options());
    ASSERT_TRUE(relay.wait_for(Position(3), patience));
  }
  control.at("begin_read_model", {});
  EXPECT_EQ(saved(), Position(0));
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(3), patience));
  EXPECT_EQ(publisher->batches(), (Batches{{1, 2, 3}, {1, 2, 3}}));
}

TEST_F(Relaying, ADatabaseThatCannotRememberPublishesNothingTwice) {
  append(6);
  control.fail("commit", 3);
  Relay relay(store, publisher, options());
  EXPECT_TRUE(comes_true([&] { return saved() == Position(6); }));
  EXPECT_EQ(publisher->batches(), (Batches{{1, 2, 3}, {4, 5, 6}}));
}

TEST_F(Relaying, GoesOnBehindItsCheckpoint) {
  append(2);
  {
    Relay relay(store, publisher, options());
    ASSERT_TRUE(relay.wait_for(Position(2), patience));
  }
  append(2);
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(4), patience));
  EXPECT_EQ(publisher->batches(), (Batches{{1, 2}, {3, 4}}));
}

TEST_F(Relaying, OneAtATimeForEachName) {
  RelayOptions quick = options();
  quick.lease = 100ms;
  auto first = std::make_unique<Relay>(store, publisher, quick);
  const auto standby = std::make_shared<Remembering>();
  Relay second(store, standby, quick);
  ASSERT_TRUE(comes_true([&] { return second.state() == State::waiting_for_lease; }));
  ASSERT_TRUE(first->wait_for(append(), patience));
  first.reset();
  ASSERT_TRUE(second.wait_for(append(), patience));
  EXPECT_EQ(publisher->batches(), Batches{{1}});
  EXPECT_EQ(standby->batches(), Batches{{2}});
}

TEST_F(Relaying, FiltersAndStarts) {
  append(2, "A");
  append(2, "B");
  append(2, "A");
  RelayOptions some = options();
  some.start = Start::after(Position(1));
  some.filter.event_types = {"A"};
  Relay relay(store, publisher, some);
  ASSERT_TRUE(relay.wait_for(append(1, "B"), patience));
  EXPECT_EQ(publisher->batches(), (Batches{{2, 5, 6}}));
}

TEST_F(Relaying, WhatTryingAgainWouldNotHelpEndsIt) {
  append(1);
  publisher->during = [] { throw Error(ErrorCode::invalid_argument, "the stream is somebody else's"); };
  Relay relay(store, publisher, options());
  EXPECT_ERROR(relay.join(), ErrorCode::invalid_argument, "somebody else's");
  EXPECT_EQ(relay.state(), State::failed);
  EXPECT_EQ(publisher->batches().size(), 1U);
  EXPECT_EQ(saved(), Position(0));
}

TEST_F(Relaying, StopEndsTheTries) {
  append(1);
  publisher->fail(1'000'000);
  RelayOptions slow = options();
  slow.first_pause = slow.longest_pause = 1h;
  Relay relay(store, publisher, slow);
  ASSERT_TRUE(comes_true([&] { return troubles > 0; }));
  relay.stop();
  relay.join();
  EXPECT_EQ(relay.state(), State::stopped);
}

TEST_F(Relaying, AnUpcastThatFailsIsWaitedFor) {
  std::atomic<int> failures{5};
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add("Old", 1, [&](const RecordedEvent&) {
    if (failures-- > 0) throw std::runtime_error("no");
    return Json("{}");
  });
  store.use_upcasters(upcasters);
  append(1);
  append(1, "Old");
  append(1);
  Relay relay(store, publisher, options());
  ASSERT_TRUE(relay.wait_for(Position(3), patience));
  EXPECT_EQ(publisher->batches(), (Batches{{1}, {2, 3}}));
}

TEST_F(Relaying, BadOptionsAreRefused) {
  const auto refuses = [&](auto change, const char* words) {
    RelayOptions bad = options();
    change(bad);
    EXPECT_ERROR(Relay(store, publisher, bad), ErrorCode::invalid_argument, words);
  };
  refuses([](RelayOptions& o) { o.name.clear(); }, "name");
  refuses([](RelayOptions& o) { o.batch = 0; }, "batch");
  refuses([](RelayOptions& o) { o.batch = 10'001; }, "batch");
  refuses([](RelayOptions& o) { o.lease = 0ms; }, "lease");
  refuses([](RelayOptions& o) { o.poll_interval = 0ms; }, "poll_interval");
  refuses([](RelayOptions& o) { o.first_pause = 3ms; }, "longest_pause");
  EXPECT_ERROR(Relay(store, nullptr, options()), ErrorCode::invalid_argument, "publisher");
}

// --- Lines

TEST_F(Relaying, LinesAreThoseOfAnExport) {
  append(5);
  std::ostringstream out;
  Relay relay(store, std::make_shared<LinePublisher>(out), options());
  ASSERT_TRUE(relay.wait_for(Position(5), patience));
  relay.stop();
  std::string expected;
  for (const RecordedEvent& event : store.read_log()) expected += to_json_line(event) + "\n";
  EXPECT_EQ(out.str(), expected);
}

/// Takes a number of bytes, then fails; counts flushes.
class Limited final : public std::streambuf {
 public:
  std::string text;
  std::size_t left = 1'000'000;
  int flushes = 0;

 protected:
  int_type overflow(int_type c) override {
    if (left == 0) return traits_type::eof();
    --left;
    text += traits_type::to_char_type(c);
    return c;
  }
  int sync() override {
    ++flushes;
    return 0;
  }
};

TEST_F(Relaying, LinesThatCouldNotBeWrittenComeAgainBehindABreak) {
  append(2);
  std::vector<RecordedEvent> events;
  for (const RecordedEvent& event : store.read_log()) events.push_back(event);
  Limited buffer;
  std::ostream out(&buffer);
  LinePublisher lines(out);
  buffer.left = to_json_line(events[0]).size() + 10;
  EXPECT_ERROR(lines.publish(events), ErrorCode::io, "stream");
  buffer.left = 1'000'000;
  lines.publish(events);
  EXPECT_EQ(buffer.flushes, 1);
  lines.publish(std::span(events).subspan(1));
  const std::string first = to_json_line(events[0]);
  const std::string second = to_json_line(events[1]);
  EXPECT_EQ(buffer.text, first + "\n" + second.substr(0, 9) + "\n" + first + "\n" + second + "\n" + second + "\n");
}

TEST_F(Relaying, AStreamThatFailsOnlyWhenItIsFlushedHasFailed) {
  class Unflushable final : public std::stringbuf {
    int sync() override { return -1; }
  };
  append(1);
  Unflushable buffer;
  std::ostream out(&buffer);
  LinePublisher lines(out);
  RecordedEvent event;
  event.stream = StreamKey("order", "7");
  EXPECT_ERROR(lines.publish({&event, 1}), ErrorCode::io, "stream");
}

}  // namespace
}  // namespace stele
