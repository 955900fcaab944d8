#include "append_signal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "controlled_driver.h"
#include "stele/event_store.h"

namespace stele {
namespace {

using detail::AppendSignal;
using testing::comes_true;

class Signal : public ::testing::Test {
 protected:
  std::unique_ptr<driver::Driver> driver() {
    return std::make_unique<testing::ControlledDriver>(testing::memory_driver(), control);
  }

  /// Waits until somebody listens. All were woken for that, once.
  template <class... All>
  void listening(All&... woken) {
    ASSERT_TRUE(control.wait_for_count("listening", 1));
    ((woken.times = 0), ...);
  }

  testing::Control control;
  EventStore store{driver()};
  const StreamKey key{"order", "7"};
};

/// Counts how often it is woken.
struct Woken {
  explicit Woken(AppendSignal& signal) : waiter(std::in_place, signal, [this] { ++times; }) {}
  std::atomic<int> times{0};
  std::optional<AppendSignal::Waiter> waiter;
};

TEST_F(Signal, EachAppendWakesEverybody) {
  Woken first(store.append_signal());
  Woken second(store.append_signal());
  listening(first, second);
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), {testing::event_of("E")}).ok());
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(second.times, 1);
  second.waiter.reset();
  AppendRequest request;
  request.streams.push_back({key, ExpectedVersion::any(), {testing::event_of("E")}});
  const std::vector<AppendRequest> requests{request, request};
  store.append_all(requests);
  EXPECT_EQ(first.times, 2);
  EXPECT_EQ(second.times, 1);
}

TEST_F(Signal, WhatWroteNoEventWakesNobody) {
  NewEvent event = testing::event_of("E");
  event.event_id = Uuid::v7();
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), {event}).ok());
  Woken woken(store.append_signal());
  listening(woken);
  EXPECT_TRUE(store.append(key, ExpectedVersion::any(), {event}).replayed());
  EXPECT_FALSE(store.append(key, ExpectedVersion::no_stream(), {testing::event_of("E")}).ok());
  EXPECT_TRUE(store.append(key, ExpectedVersion::exactly(1), {}).ok());
  Command command;
  command.key = {"default", "shop", "1"};
  command.type = "Nothing";
  EXPECT_TRUE(store.record_command(command).ok());
  EXPECT_EQ(woken.times, 0);
}

TEST_F(Signal, OneThreadListensForAll) {
  EXPECT_EQ(control.count("listen"), 0);
  Woken first(store.append_signal());
  Woken second(store.append_signal());
  ASSERT_TRUE(control.wait_for_count("listening", 3));
  EXPECT_EQ(control.count("listen"), 1);
  const int before = first.times;
  control.tell_listeners();
  EXPECT_TRUE(comes_true([&] { return first.times > before && second.times > 0; }));
}

// Somebody else appended when this one had read, and nobody listened yet.
TEST_F(Signal, EverybodyIsWokenWhenTheListenerBegins) {
  std::atomic<bool> go_on{false};
  control.at("listen", [&](int) {
    while (!go_on) std::this_thread::yield();
  });
  Woken first(store.append_signal());
  Woken second(store.append_signal());
  ASSERT_TRUE(control.wait_for_count("listen", 1));
  EXPECT_EQ(first.times + second.times, 0);
  go_on = true;
  EXPECT_TRUE(comes_true([&] { return first.times > 0 && second.times > 0; }));
}

TEST_F(Signal, NobodyIsWokenForATimeThatIsOver) {
  Woken woken(store.append_signal());
  listening(woken);
  ASSERT_TRUE(control.wait_for_count("listening", 5));
  EXPECT_EQ(woken.times, 0);
}

TEST_F(Signal, NobodyListensForNobody) {
  {
    const Woken woken(store.append_signal());
    ASSERT_TRUE(control.wait_for_count("listening", 1));
  }
  ASSERT_TRUE(control.wait_for_count("listener gone", 1));
  const int listening = control.count("listening");
  const Woken again(store.append_signal());
  EXPECT_TRUE(control.wait_for_count("listening", listening + 1));
  EXPECT_EQ(control.count("listen"), 2);
}

TEST_F(Signal, AListenerThatCannotBeMadeIsTriedAgain) {
  control.fail("listen", 3);
  Woken woken(store.append_signal());
  ASSERT_TRUE(control.wait_for_count("listening", 1));
  EXPECT_EQ(control.count("listen"), 4);
  control.tell_listeners();
  EXPECT_TRUE(comes_true([&] { return woken.times > 0; }));
}

TEST_F(Signal, CloseEndsTheThreadAndWakesEverybody) {
  Woken woken(store.append_signal());
  listening(woken);
  store.close();
  EXPECT_EQ(woken.times, 1);
  EXPECT_EQ(control.count("listener gone"), 1);
}

TEST_F(Signal, TheThreadEndsWithTheStore) {
  {
    EventStore other(driver());
    const Woken woken(other.append_signal());
    ASSERT_TRUE(control.wait_for_count("listening", 1));
  }
  EXPECT_EQ(control.count("listener gone"), 1);
}

TEST_F(Signal, AWaiterThatIsGoneIsNotCalled) {
  // One that is being woken holds up its end.
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  std::atomic<bool> gone{false};
  auto waiter = std::make_unique<AppendSignal::Waiter>(store.append_signal(), [&] {
    inside = true;
    while (!go_on) std::this_thread::yield();
    EXPECT_FALSE(gone);
  });
  std::thread appending([&] { store.append(key, ExpectedVersion::any(), {testing::event_of("E")}); });
  ASSERT_TRUE(comes_true([&] { return inside.load(); }));
  std::thread ending([&] {
    waiter.reset();
    gone = true;
  });
  go_on = true;
  appending.join();
  ending.join();
  EXPECT_TRUE(gone);
}

TEST_F(Signal, IsNotMadeForAppendsAlone) {
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), {testing::event_of("E")}).ok());
  EXPECT_EQ(control.count("listen"), 0);
}

}  // namespace
}  // namespace stele
