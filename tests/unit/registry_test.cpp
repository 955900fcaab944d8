#include "stele/registry.h"

#include <gtest/gtest.h>

#include "error_of.h"
#include "stele/driver/driver.h"
#include "stele/event_store.h"

namespace stele {
namespace {

std::unique_ptr<driver::Driver> memory_driver() {
  Registry registry;
  register_memory_driver(registry);
  return registry.open(Url::parse("memory:"));
}

TEST(Registry, GivesTheFactoryTheUrlAndTheOptions) {
  Registry registry;
  std::string path;
  bool create = false;
  registry.add("other", [](const Url&, const DriverOptions&) -> std::unique_ptr<driver::Driver> {
    throw Error(ErrorCode::cannot_connect, "the wrong one");
  });
  registry.add("mine", [&](const Url& url, const DriverOptions& options) {
    path = url.path;
    create = options.create;
    return memory_driver();
  });
  EXPECT_EQ(registry.open(Url::parse("MINE:books"), {.create = true})->name(), "memory");
  EXPECT_EQ(path, "books");
  EXPECT_TRUE(create);
  EXPECT_NE(registry.open(Url::parse("mine:more")), nullptr);
  EXPECT_EQ(path, "more");
  EXPECT_FALSE(create);
  EXPECT_ERROR(registry.open(Url::parse("other:x")), ErrorCode::cannot_connect, "the wrong one");
}

TEST(Registry, RefusesASchemeTwice) {
  Registry registry;
  register_memory_driver(registry);
  EXPECT_ERROR(register_memory_driver(registry), ErrorCode::invalid_argument, "'memory'");
  EXPECT_EQ(registry.schemes(), std::vector<std::string>{"memory"});
}

TEST(Registry, ListsWhatThereIsForASchemeThatNobodyServes) {
  Registry registry;
  EXPECT_TRUE(registry.schemes().empty());
  EXPECT_ERROR(registry.open(Url::parse("sqlite:x")), ErrorCode::invalid_argument, "none");
  register_memory_driver(registry);
  registry.add("alpha", [](const Url&, const DriverOptions&) { return memory_driver(); });
  EXPECT_EQ(registry.schemes(), (std::vector<std::string>{"alpha", "memory"}));
  EXPECT_ERROR(registry.open(Url::parse("oracle:x")), ErrorCode::invalid_argument, "'oracle'");
  EXPECT_ERROR(registry.open(Url::parse("oracle:x")), ErrorCode::invalid_argument, "alpha, memory");
}

TEST(Registry, TheMemoryDriverTakesNeitherPathNorSettings) {
  Registry registry;
  register_memory_driver(registry);
  EXPECT_ERROR(registry.open(Url::parse("memory:books")), ErrorCode::invalid_argument, "path");
  EXPECT_ERROR(registry.open(Url::parse("memory:?readers=1")), ErrorCode::invalid_argument, "\"readers\"");
}

TEST(EventStore, EachOneOfMemoryIsItsOwn) {
  Registry registry;
  register_memory_driver(registry);
  EventStore one = EventStore::open(registry, "memory:");
  EventStore two = EventStore::open(registry, "memory:", {.migrate = true});
  NewEvent event;
  event.type = "Opened";
  ASSERT_TRUE(one.append(StreamKey("a", "1"), ExpectedVersion::any(), {event}).ok());
  EXPECT_EQ(one.stream_version(StreamKey("a", "1")), Version(1));
  EXPECT_EQ(two.stream_version(StreamKey("a", "1")), Version(0));
  EXPECT_EQ(one.driver().name(), "memory");
}

TEST(EventStore, AnswersClosedWhenItWasClosed) {
  Registry registry;
  register_memory_driver(registry);
  EventStore store = EventStore::open(registry, "memory:");
  NewEvent event;
  event.type = "Opened";
  const StreamKey key("a", "1");
  ASSERT_TRUE(store.append(key, ExpectedVersion::any(), {event}).ok());
  EventReader stream = store.read_stream(key);
  EventReader log = store.read_log();
  store.close();
  store.close();
  EXPECT_ERROR(store.append(key, ExpectedVersion::any(), {event}), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.read_stream(key), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.read_log(), ErrorCode::closed, "closed");
  EXPECT_ERROR(stream.next(), ErrorCode::closed, "closed");
  EXPECT_ERROR(log.next(), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.find_event(Uuid::v7()), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.stream_info(key), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.list_streams(), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.list_commands(key), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.find_command(Uuid::v7()), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.stats(), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.verify(), ErrorCode::closed, "closed");
  EXPECT_ERROR(store.driver(), ErrorCode::closed, "closed");
}

}  // namespace
}  // namespace stele
