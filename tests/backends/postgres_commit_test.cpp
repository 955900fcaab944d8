// What is told of a commit whose answer is not what it should be. A proxy in between changes what the server says.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "append.h"
#include "errors.h"
#include "postgres_server.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "stele/url.h"

namespace stele::testing {
namespace {

/// Passes everything on between a client and the server, of which the server's messages may be changed.
class Proxy {
 public:
  /// Gets a message with its type and length, and returns what the client is to get.
  using Change = std::function<std::string(const std::string&)>;

  Proxy() {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_clients(); });
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
    for (const int socket : sockets_) ::close(socket);
    ::close(listener_);
  }

  void change(Change change) {
    const std::lock_guard lock(mutex_);
    change_ = std::move(change);
  }
  /// A URL of the server, through here.
  std::string url(const std::string& schema) const {
    std::string url = postgres_url(schema, "sslmode=disable&gssencmode=disable&pooler=session&connections=1");
    const std::size_t hosts = url.rfind('@', url.find('?')) + 1;
    const std::size_t end = std::min(url.find_first_of("/?", hosts), url.size());
    return url.replace(hosts, end - hosts, "127.0.0.1:" + std::to_string(port_));
  }

 private:
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void accept_clients() {
    const int server_port = Url::parse(postgres_url()).hosts.front().port;
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      const int server = ::socket(AF_INET, SOCK_STREAM, 0);
      const sockaddr_in address = loopback(server_port);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        ::shutdown(client, SHUT_RDWR);
      sockets_.insert(sockets_.end(), {client, server});
      threads_.emplace_back([=] { pass_on(client, server); });
      threads_.emplace_back([=, this] { pass_on_changed(server, client); });
    }
  }

  static bool send_all(int to, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  static void pass_on(int from, int to) {
    char buffer[16 * 1024];
    for (ssize_t size = 0; (size = ::recv(from, buffer, sizeof buffer, 0)) > 0;) {
      if (!send_all(to, {buffer, static_cast<std::size_t>(size)})) break;
    }
    ::shutdown(to, SHUT_RDWR);
  }

  void pass_on_changed(int from, int to) {
    std::string waiting;
    char buffer[16 * 1024];
    for (ssize_t size = 0; (size = ::recv(from, buffer, sizeof buffer, 0)) > 0;) {
      waiting.append(buffer, static_cast<std::size_t>(size));
      std::string out;
      while (waiting.size() >= 5) {
        std::size_t length = 1;
        std::size_t body = 0;
        for (int i = 1; i <= 4; ++i)
          body = body << 8 | static_cast<unsigned char>(waiting[static_cast<std::size_t>(i)]);
        length += body;
        if (waiting.size() < length) break;
        const std::lock_guard lock(mutex_);
        out += change_ ? change_(waiting.substr(0, length)) : waiting.substr(0, length);
        waiting.erase(0, length);
      }
      if (!send_all(to, out)) break;
    }
    ::shutdown(to, SHUT_RDWR);
  }

  int listener_ = -1;
  int port_ = 0;
  std::thread accepting_;
  std::vector<int> sockets_;  // The accepting thread's.
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  Change change_;
};

std::string message(char type, const std::string& body) {
  std::string text(1, type);
  const std::size_t size = body.size() + 4;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(static_cast<unsigned char>(size >> shift));
  return text + body;
}

std::string field(char name, const std::string& value) {
  return name + value + '\0';
}

/// An error or a notice of these fields.
std::string report(char type, const std::vector<std::string>& fields) {
  std::string body;
  for (const std::string& each : fields) body += each;
  return message(type, body + '\0');
}

bool is_commit(const std::string& text) {
  return text == message('C', std::string("COMMIT") + '\0');
}

class PostgresCommits : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    schema_ = std::make_unique<PostgresSchema>();
    open_postgres(schema_->url());
    proxy_ = std::make_unique<Proxy>();
    session_ = std::make_unique<postgres::Session>(postgres::parse_settings(Url::parse(proxy_->url(schema_->name()))));
  }

  /// An append to the stream thing/a. Returns the error of appending two together, or of one by itself.
  std::optional<Error> append(std::size_t number) {
    const NewEvent happened = event();
    const StreamKey stream("thing", "a");
    std::vector<driver::PreparedAppend> appends;
    for (std::size_t i = 0; i < number; ++i) {
      appends.push_back({std::string_view(default_tenant),
                         {{&stream,
                           ExpectedVersion::any(),
                           {{&happened, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false}}}},
                         {},
                         {}});
    }
    try {
      if (number == 1) {
        postgres::append_one(*session_, appends.front(), std::chrono::steady_clock::now() + std::chrono::seconds(10));
      } else {
        postgres::append_together(*session_, appends);
      }
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }
  static NewEvent event() {
    NewEvent made;
    made.type = "Happened";
    return made;
  }
  std::string events() { return schema_->connect().value("SELECT count(*) FROM events"); }

  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<postgres::Session> session_;
};

// An error that is not the server's own says nothing of the transaction, which was committed here.
TEST_F(PostgresCommits, AnErrorInThePlaceOfTheAnswerLeavesItOpen) {
  for (const bool after : {false, true}) {
    proxy_->change([after](const std::string& text) {
      const std::string error = report('E', {field('S', "ERROR"), field('M', "made up")});
      return !is_commit(text) ? text : after ? text + error : error;
    });
    const std::optional<Error> error = append(2);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->outcome(), Outcome::unknown) << error->what();
    EXPECT_FALSE(error->retryable());
    proxy_->change({});
  }
  EXPECT_EQ(events(), "4") << "each of them was committed";
}

// Behind the commit an error of the server's own does not take it back.
TEST_F(PostgresCommits, AnErrorBehindTheCommitLeavesItOpen) {
  proxy_->change([](const std::string& text) {
    return is_commit(text) ? text + report('E', {field('S', "ERROR"), field('C', "53100"), field('M', "full")}) : text;
  });
  const std::optional<Error> error = append(2);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->outcome(), Outcome::unknown) << error->what();
  proxy_->change({});
  EXPECT_EQ(events(), "2");
}

// An append alone is its transaction; here the error stands in the place of its answer.
TEST_F(PostgresCommits, AnErrorWithoutAStateIsNobodysAnswer) {
  ASSERT_FALSE(append(1)) << "prepared now";
  proxy_->change([](const std::string& text) {
    if (text[0] == 'D') return report('E', {field('S', "ERROR"), field('M', "made up")});
    return text[0] == 'C' ? std::string() : text;
  });
  const std::optional<Error> error = append(1);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->outcome(), Outcome::unknown) << error->what();
  proxy_->change({});
  EXPECT_EQ(events(), "2");
}

// The wait for a synchronous standby was broken off: a success, with a warning beside it.
TEST_F(PostgresCommits, ACommitThatWaitedInVainForAStandbyIsNoSuccess) {
  ASSERT_FALSE(append(1));
  const std::string warning = report('N', {field('S', "WARNUNG"), field('V', "WARNING"), field('C', "01000"),
                                           field('M', "storniere Warten"), field('R', "SyncRepWaitForLSN")});
  for (const std::size_t number : {std::size_t{1}, std::size_t{2}}) {
    proxy_->change([&](const std::string& text) { return text[0] == 'C' ? warning + text : text; });
    const std::optional<Error> error = append(number);
    ASSERT_TRUE(error) << number;
    EXPECT_EQ(error->outcome(), Outcome::applied) << error->what();
    EXPECT_NE(error->message().find("standby"), std::string::npos) << error->what();
    EXPECT_FALSE(error->retryable());
    proxy_->change({});
    EXPECT_FALSE(append(1)) << "the next one is another";
  }
  EXPECT_EQ(events(), "6");
}

// A primary that has become a standby: the connection is not kept, and the next one finds who takes writes.
TEST_F(PostgresCommits, AReadOnlyServersConnectionIsNotKept) {
  const PostgresLogin login("SUPERUSER");
  PostgresConnection server = schema_->connect();
  EventStore store = open_migrated_postgres(login.url(*schema_, "connections=1"));
  const std::string role = "ALTER ROLE " + sql_name(login.name());
  const auto append_through = [&] {
    try {
      store.append(StreamKey("thing", "b"), ExpectedVersion::any(), {event()});
      return std::optional<Error>();
    } catch (const Error& error) {
      return std::optional<Error>(error);
    }
  };
  server.run(role + " SET default_transaction_read_only = on");
  server.run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = " + sql_text(login.name()));
  const std::optional<Error> refused = append_through();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code(), ErrorCode::permission_denied) << refused->what();
  EXPECT_EQ(refused->outcome(), Outcome::not_applied);
  server.run(role + " RESET default_transaction_read_only");
  const std::optional<Error> still = append_through();
  EXPECT_FALSE(still) << still->what();
}

}  // namespace
}  // namespace stele::testing
