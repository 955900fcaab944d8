// RedisPublisher, on a server of the test's own.
#include "stele/relay/redis.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "redis_server.h"
#include "stele/error.h"
#include "stele/event_json.h"

namespace stele {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RedisServer;

RecordedEvent event(std::int64_t position, std::string type = "Happened") {
  RecordedEvent made;
  made.position = Position(position);
  made.stream = StreamKey("acme", "order", "o-" + std::to_string(position));
  made.version = Version(1);
  made.event_id = *Uuid::parse("018f3a6e-0000-7000-8000-00000000" + std::to_string(1000 + position));
  made.type = std::move(type);
  made.data = Json(R"({"n": )" + std::to_string(position) + R"(, "text": "line\nend \"é\""})");
  return made;
}

std::vector<RecordedEvent> events(std::int64_t first, std::int64_t last) {
  std::vector<RecordedEvent> made;
  for (std::int64_t position = first; position <= last; ++position) made.push_back(event(position));
  return made;
}

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::internal, "");
}

int listen_on_loopback() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 1) != 0) {
    throw std::runtime_error("no free port");
  }
  return listener;
}

int port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// Lies between a publisher and its server, one connection after the other, and can do something in between.
class Passage {
 public:
  explicit Passage(int server_port) : server_port_(server_port), thread_([this] { run(); }) {}
  ~Passage() {
    ::shutdown(listener_, SHUT_RDWR);  // Its publisher is gone by now.
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_of(listener_)) + "/?stream=events"; }
  /// What is called before the next MULTI comes through, once.
  void before_multi(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    before_multi_ = std::move(call);
  }

 private:
  void run() {
    for (int client = ::accept(listener_, nullptr, nullptr); client >= 0;
         client = ::accept(listener_, nullptr, nullptr)) {
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<std::uint16_t>(server_port_));
      if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
        while (::poll(ends.data(), ends.size(), -1) > 0 && (ends[0].revents == 0 || pass(client, server)) &&
               (ends[1].revents == 0 || pass(server, client))) {
        }
      }
      ::close(server);
      ::close(client);
    }
  }

  bool pass(int from, int to) {
    std::array<char, 65'536> bytes;
    const ssize_t size = ::recv(from, bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    const std::string_view text(bytes.data(), static_cast<std::size_t>(size));
    if (text.find("MULTI") != std::string_view::npos) {
      std::function<void()> call;
      {
        const std::lock_guard lock(mutex_);
        call.swap(before_multi_);
      }
      if (call) call();
    }
    return ::send(to, bytes.data(), text.size(), MSG_NOSIGNAL) == size;
  }

  const int server_port_;
  const int listener_ = listen_on_loopback();
  std::mutex mutex_;
  std::function<void()> before_multi_;
  std::thread thread_;
};

class Redis : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::is_installed()) GTEST_SKIP() << "NOT TESTED: redis-server is not installed";
    server_ = std::make_unique<RedisServer>();
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> found;
    const std::vector<std::string> all = server_->command({"XRANGE", "events", "-", "+"});
    constexpr std::size_t texts_in_an_entry = 15;
    for (std::size_t i = 0; i < all.size(); i += texts_in_an_entry) found.push_back(all[i]);
    return found;
  }

  std::unique_ptr<RedisServer> server_;
};

TEST_F(Redis, AnEntryHasTheEventAndWhatConsumersFilterBy) {
  RedisPublisher publisher(server_->url(), "outbox");
  const RecordedEvent written = event(7, "Placed");
  publisher.publish({&written, 1});
  EXPECT_THAT(server_->command({"XRANGE", "events", "-", "+"}),
              ElementsAre("7-0", "event", to_json_line(written), "id", written.event_id.to_string(), "type", "Placed",
                          "tenant", "acme", "stream", "order/o-7", "relay", "outbox", "relay_tenant", ""));
}

TEST_F(Redis, WhatAnUpcasterMadeOfOneEventIsNumbered) {
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(std::vector{event(7), event(7), event(7), event(8), event(9), event(9)});
  EXPECT_THAT(ids(), ElementsAre("7-0", "7-1", "7-2", "8-0", "9-0", "9-1"));
}

TEST_F(Redis, WhatComesTwiceIsThereOnce) {
  RedisPublisher(server_->url(), "outbox").publish(events(1, 5));
  RedisPublisher again(server_->url(), "outbox");
  again.publish(events(1, 3));  // All of it was there, and there is more behind it.
  again.publish(events(4, 7));  // A part of it was there.
  again.publish(events(6, 7));
  EXPECT_THAT(ids(), ElementsAre("1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-0"));
}

TEST_F(Redis, AStreamThatSomebodyElseWritesToIsNotTakenForPublished) {
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(events(1, 2));
  server_->command({"XADD", "events", "*", "somebody", "else"});
  const Error by_clock = error_of([&] { publisher.publish(events(3, 4)); });
  EXPECT_EQ(by_clock.code(), ErrorCode::invalid_argument);
  EXPECT_THAT(by_clock.message(), HasSubstr("\"events\""));

  server_->command({"DEL", "events"});
  RedisPublisher(server_->url(), "other").publish(events(5, 5));
  EXPECT_EQ(error_of([&] { publisher.publish(events(3, 4)); }).code(), ErrorCode::invalid_argument);
  EXPECT_THAT(ids(), ElementsAre("5-0"));
}

TEST_F(Redis, WhatComesBehindTheEntriesOfSomebodyElseDoesNotHideWhatIsRefused) {
  RedisPublisher(server_->url(), "other").publish(events(1, 5));
  EXPECT_EQ(error_of([&] { RedisPublisher(server_->url(), "outbox").publish(events(3, 8)); }).code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(error_of([&] { RedisPublisher(server_->url(), "other", "acme").publish(events(3, 8)); }).code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(ids().size(), 5U);
  RedisPublisher(server_->url(), "outbox").publish(events(6, 8));  // Nothing of it is refused.
  EXPECT_EQ(ids().size(), 8U);
}

TEST_F(Redis, AnEntryOfAnotherEventIsNotTakenForThisOne) {
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(events(1, 5));
  std::vector<RecordedEvent> restored = events(4, 7);  // From a backup, and then the log went another way.
  restored[1].event_id = Uuid::v7();
  const Error error = error_of([&] { publisher.publish(restored); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_THAT(error.message(), HasSubstr("5-0"));
  EXPECT_EQ(ids().size(), 5U);
}

TEST_F(Redis, WhatWasNeverThereIsNotTakenForDeleted) {
  if (!server_->tells_what_was_deleted()) GTEST_SKIP() << "NOT TESTED: Redis 7 is needed";
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(std::vector{event(2), event(4), event(6)});
  const auto never = [&](std::int64_t first) {
    return error_of([&] { publisher.publish(events(first, 7)); }).code() == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(never(1));
  EXPECT_TRUE(never(5));
  server_->command({"XDEL", "events", "2-0"});
  EXPECT_TRUE(never(5));
  server_->command({"XDEL", "events", "4-0"});
  publisher.publish(std::vector{event(2), event(4), event(6), event(8)});
  EXPECT_THAT(ids(), ElementsAre("6-0", "8-0"));
}

TEST_F(Redis, WhoWritesBetweenTheLookAndTheAddingIsSeen) {
  RedisPublisher direct(server_->url(), "outbox");
  direct.publish(events(1, 2));
  Passage passage(server_->port());
  RedisPublisher publisher(passage.url(), "outbox");
  passage.before_multi([&] { direct.publish(events(3, 5)); });  // One that has lost its lease and does not know it.
  publisher.publish(events(3, 8));
  EXPECT_THAT(ids(), ElementsAre("1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-0", "8-0"));
  passage.before_multi([&] { RedisPublisher(server_->url(), "other").publish(events(10, 10)); });
  EXPECT_EQ(error_of([&] { publisher.publish(events(9, 12)); }).code(), ErrorCode::invalid_argument);
  EXPECT_EQ(ids().size(), 9U);
}

TEST_F(Redis, AServerThatHasNoRoomForAMomentTakesAllOrNone) {
  constexpr std::int64_t batches = 40;
  constexpr std::int64_t size = 100;
  std::atomic<bool> done{false};
  std::thread toggler([&] {
    while (!done) {
      server_->command({"CONFIG", "SET", "maxmemory", "1mb"});
      server_->command({"CONFIG", "SET", "maxmemory", "0"});
    }
  });
  RedisPublisher publisher(server_->url(), "outbox");
  int failures = 0;
  std::int64_t batch = 0;
  for (; batch < batches || failures == 0; ++batch) {
    const std::vector<RecordedEvent> now = events(batch * size + 1, batch * size + size);
    for (bool published = false; !published;) {
      try {
        publisher.publish(now);
        published = true;
      } catch (const Error& error) {
        ++failures;
        EXPECT_THAT(error.message(), HasSubstr("OOM"));
      }
    }
  }
  done = true;
  toggler.join();
  std::vector<std::string> expected;
  for (std::int64_t n = 1; n <= batch * size; ++n) expected.push_back(std::to_string(n) + "-0");
  EXPECT_EQ(ids(), expected);
}

TEST_F(Redis, ConsumersMayDeleteWhatTheyHaveDealtWith) {
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(events(1, 3));
  server_->command({"XDEL", "events", "1-0", "2-0", "3-0"});
  publisher.publish(events(1, 3));  // The checkpoint was not saved.
  publisher.publish(events(2, 4));
  EXPECT_THAT(ids(), ElementsAre("4-0"));

  server_->command({"DEL", "events"});
  server_->command({"XADD", "events", "*", "somebody", "else"});
  server_->command({"XTRIM", "events", "MAXLEN", "0"});
  EXPECT_EQ(error_of([&] { publisher.publish(events(5, 6)); }).code(), ErrorCode::invalid_argument);
}

TEST_F(Redis, KeepsAboutAsManyAsIsAskedFor) {
  RedisPublisher publisher(server_->url("&maxlen=100"), "outbox");
  publisher.publish(events(1, 1'000));
  const int kept = std::stoi(server_->command({"XLEN", "events"}).front());
  EXPECT_GE(kept, 100);
  EXPECT_LT(kept, 300);
  publisher.publish(events(1, 1'000));  // Most of it is gone, and does not come back.
  EXPECT_EQ(std::stoi(server_->command({"XLEN", "events"}).front()), kept);
}

TEST_F(Redis, AServerThatDiesIsAnErrorAndTheNextCallGoesOn) {
  std::signal(SIGPIPE, SIG_DFL);  // It must not end the program.
  RedisPublisher publisher(server_->url(), "outbox");
  publisher.publish(events(1, 3));
  server_->kill();
  // More than one write's worth: the first one tells that nobody is there, and the next one would raise the signal.
  std::vector<RecordedEvent> large(40, event(4));
  for (RecordedEvent& one : large) one.data = Json("{\"text\": \"" + std::string(1'000'000, 'x') + "\"}");
  const Error lost = error_of([&] { publisher.publish(large); });
  EXPECT_TRUE(lost.retryable()) << lost.what();
  const Error away = error_of([&] { publisher.publish(events(4, 6)); });
  EXPECT_EQ(away.code(), ErrorCode::cannot_connect);
  server_->start();
  publisher.publish(events(3, 6));
  EXPECT_THAT(ids(), ElementsAre("1-0", "2-0", "3-0", "4-0", "5-0", "6-0"));
}

TEST_F(Redis, AServerThatRefusesIsAnErrorWithoutThePayload) {
  RedisPublisher publisher(server_->url(), "outbox");
  server_->command({"SET", "events", "no stream"});
  EXPECT_THAT(error_of([&] { publisher.publish(events(1, 3)); }).message(), HasSubstr("WRONGTYPE"));
  server_->command({"DEL", "events"});
  publisher.publish(events(1, 3));
  EXPECT_EQ(ids().size(), 3U);

  RedisServer old({"--rename-command", "XADD", ""});  // As before Redis 5.
  const Error error = error_of([&] { RedisPublisher(old.url(), "outbox").publish(events(1, 3)); });
  EXPECT_THAT(error.message(), HasSubstr("unknown command"));
  EXPECT_THAT(error.message(), Not(HasSubstr("events")));
}

TEST_F(Redis, APasswordIsGivenAndNeverTold) {
  RedisServer locked({"--requirepass", "se:cret/1"});
  const auto publish = [&](const std::string& user) {
    RedisPublisher(locked.url("", user), "outbox").publish(events(1, 1));
  };
  publish(":se%3Acret%2F1@");
  publish("default:se%3Acret%2F1@");
  const Error without = error_of([&] { publish(""); });
  EXPECT_THAT(without.message(), HasSubstr("NOAUTH"));
  const Error wrong = error_of([&] { publish(":wr0ng-secret@"); });
  EXPECT_EQ(wrong.code(), ErrorCode::cannot_connect);
  EXPECT_THAT(wrong.message(), Not(HasSubstr("wr0ng")));
}

TEST_F(Redis, AnotherDatabaseOfTheServer) {
  const std::string url = "redis://127.0.0.1:" + std::to_string(server_->port()) + "/3?stream=events";
  RedisPublisher(url, "outbox").publish(events(1, 1));
  EXPECT_TRUE(ids().empty());
  EXPECT_EQ(server_->command({"INFO", "keyspace"}).front().find("db3:keys=1") == std::string::npos, false);
  const std::string missing = "redis://127.0.0.1:" + std::to_string(server_->port()) + "/99?stream=events";
  EXPECT_EQ(error_of([&] { RedisPublisher(missing, "outbox").publish(events(1, 1)); }).code(),
            ErrorCode::cannot_connect);
}

TEST(RedisUrl, AServerThatDoesNotAnswerIsNotWaitedForForever) {
  const int listener = listen_on_loopback();
  const std::string place = "redis://127.0.0.1:" + std::to_string(port_of(listener));
  const Error error =
      error_of([&] { RedisPublisher(place + "/?stream=events&timeout=50ms", "outbox").publish(events(1, 1)); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_EQ(error.outcome(), Outcome::unknown);
  EXPECT_THAT(error.message(), HasSubstr("in time"));
  ::close(listener);
}

TEST(RedisUrl, WhatIsWrongIsSaidAtOnce) {
  for (const auto& [url, why] :
       std::vector<std::pair<std::string, std::string>>{{"redis://h/", "stream"},
                                                        {"redis://h/?stream=", "stream"},
                                                        {"redis://h/?stream=s&maxlne=5", "maxlen"},
                                                        {"redis://h/?stream=s&stream=t", "twice"},
                                                        {"redis://h/?stream=s&maxlen=0", "maxlen"},
                                                        {"redis://h/?stream=s&timeout=0", "timeout"},
                                                        {"redis://h/x?stream=s", "number"},
                                                        {"redis://h/-1?stream=s", "number"},
                                                        {"redis://a,b/?stream=s", "one host"},
                                                        {"redis:?stream=s", "one host"},
                                                        {"redis://user@h/?stream=s", "password"},
                                                        {"rediss://:hush@h/?stream=s", "TLS"},
                                                        {"http://:hush@h/?stream=s", "not redis"}}) {
    const Error error = error_of([&] { RedisPublisher(url, "outbox"); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << url;
    EXPECT_THAT(error.message(), HasSubstr(why)) << url;
    EXPECT_THAT(error.message(), Not(HasSubstr("hush"))) << url;
  }
}

}  // namespace
}  // namespace stele
