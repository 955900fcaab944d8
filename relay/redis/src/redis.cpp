#include "stele/relay/redis.h"

#include <hiredis/hiredis.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <compare>
#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "stele/event_json.h"
#include "stele/url.h"

namespace stele {
namespace {

constexpr std::uint16_t default_port = 6379;
constexpr std::chrono::milliseconds default_timeout{10'000};
constexpr std::size_t error_bytes = 200;

/// hiredis writes to sockets in a way that raises SIGPIPE when the server is gone. This keeps it from the program,
/// whatever that does about the signal.
class WithoutSigpipe {
 public:
  WithoutSigpipe() noexcept {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    constexpr timespec no_time{};
    if (!was_pending_) ::sigtimedwait(&sigpipe_, nullptr, &no_time);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

struct EntryId {
  std::int64_t position = 0;
  std::int64_t number = 0;
  friend auto operator<=>(const EntryId&, const EntryId&) = default;

  std::string to_string() const { return std::to_string(position) + "-" + std::to_string(number); }
  static std::optional<EntryId> parse(std::string_view text) {
    EntryId id;
    const char* const end = text.data() + text.size();
    const auto position = std::from_chars(text.data(), end, id.position);
    if (position.ec != std::errc() || position.ptr == end || *position.ptr != '-') return std::nullopt;
    const auto number = std::from_chars(position.ptr + 1, end, id.number);
    if (number.ec != std::errc() || number.ptr != end) return std::nullopt;
    return id;
  }
};

struct Settings {
  std::string host;
  std::uint16_t port = default_port;
  std::string user;
  std::string password;
  std::int64_t database = 0;
  std::string stream;
  std::optional<std::int64_t> maxlen;
  std::chrono::milliseconds timeout = default_timeout;

  static Settings parse(std::string_view text);
};

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "URL: " + why);
}

Settings Settings::parse(std::string_view text) {
  const Url url = Url::parse(text);
  if (url.scheme == "rediss") refuse("rediss: connections with TLS are not supported");
  if (url.scheme != "redis") refuse("\"" + url.scheme + "\" is not redis");
  url.allow_params({"stream", "maxlen", "timeout"});
  if (url.hosts.size() != 1) refuse("redis needs one host: redis://host:6379/?stream=events");
  Settings settings;
  settings.host = url.hosts.front().name;
  if (url.hosts.front().port != 0) settings.port = url.hosts.front().port;
  settings.user = url.user.value_or("");
  settings.password = url.password.value_or("");
  if (!settings.user.empty() && settings.password.empty()) refuse("a user without a password");
  if (!url.path.empty()) {
    const char* const end = url.path.data() + url.path.size();
    const auto read = std::from_chars(url.path.data(), end, settings.database);
    if (read.ec != std::errc() || read.ptr != end || settings.database < 0) {
      refuse("behind redis://host/ comes the number of a database");
    }
  }
  settings.stream = url.param("stream").value_or("");
  if (settings.stream.empty()) refuse("\"stream\" is missing: the key of the stream");
  settings.maxlen = url.integer_param("maxlen", 1, std::numeric_limits<std::int64_t>::max());
  settings.timeout = url.duration_param("timeout").value_or(settings.timeout);
  if (settings.timeout.count() == 0) refuse("\"timeout\" has to be longer than nothing");
  return settings;
}

struct ReplyDeleter {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyDeleter>;

struct ContextDeleter {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};

std::string_view text_of(const redisReply& reply) noexcept {
  const bool has_text =
      reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS || reply.type == REDIS_REPLY_ERROR;
  return has_text ? std::string_view(reply.str, reply.len) : std::string_view();
}

/// The value behind a name in a list of names and values.
std::optional<std::string_view> find(const redisReply& pairs, std::string_view name) {
  for (std::size_t i = 0; i + 1 < pairs.elements; i += 2) {
    if (text_of(*pairs.element[i]) == name) return text_of(*pairs.element[i + 1]);
  }
  return std::nullopt;
}

bool is_there_already(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR &&
         text_of(reply).find("equal or smaller than the target stream top item") != std::string_view::npos;
}

/// What the server says, without what it repeats of the command.
std::string without_arguments(std::string_view error) {
  return std::string(error.substr(0, std::min(error.find(", with args"), error_bytes)));
}

}  // namespace

class RedisPublisher::Impl {
 public:
  Impl(std::string_view url, std::string relay) : settings_(Settings::parse(url)), relay_(std::move(relay)) {}

  void publish(std::span<const RecordedEvent> events) {
    if (events.empty()) return;
    const WithoutSigpipe guard;
    try {
      if (!context_) connect();
      add_all(events);
    } catch (...) {
      context_.reset();  // There may be answers left in it.
      throw;
    }
  }

 private:
  void connect() {
    const timeval timeout = timeout_value();
    context_.reset(redisConnectWithTimeout(settings_.host.c_str(), settings_.port, timeout));
    if (!context_) fail(ErrorCode::cannot_connect, "out of memory");
    if (context_->err != 0) fail(ErrorCode::cannot_connect, context_->errstr);
    if (redisSetTimeout(context_.get(), timeout) != REDIS_OK) fail(ErrorCode::cannot_connect, context_->errstr);
    if (!settings_.password.empty()) {
      if (settings_.user.empty()) {
        send({"AUTH", settings_.password});
      } else {
        send({"AUTH", settings_.user, settings_.password});
      }
      // Its text might tell more than whose fault it is.
      if (receive()->type == REDIS_REPLY_ERROR) fail(ErrorCode::cannot_connect, "the server refuses the password");
    }
    // Even of the database that it is anyway: who may not come in is told so here.
    send({"SELECT", std::to_string(settings_.database)});
    require_good(*receive(), ErrorCode::cannot_connect);
  }

  void add_all(std::span<const RecordedEvent> events) {
    EntryId id;
    for (const RecordedEvent& event : events) {
      const std::int64_t position = event.position.value();
      id = {position, position == id.position ? id.number + 1 : 0};
      add(event, id);
    }
    bool refused = false;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const Reply reply = receive();
      if (is_there_already(*reply)) {
        refused = true;
      } else {
        require_good(*reply, ErrorCode::io);
      }
    }
    if (refused) require_own_stream(id);
  }

  void add(const RecordedEvent& event, const EntryId& id) {
    std::vector<std::string> command{"XADD", settings_.stream};
    if (settings_.maxlen) command.insert(command.end(), {"MAXLEN", "~", std::to_string(*settings_.maxlen)});
    command.insert(command.end(), {id.to_string(), "event", to_json_line(event), "id", event.event_id.to_string(),
                                   "type", event.type, "tenant", event.stream.tenant, "stream",
                                   event.stream.type + "/" + event.stream.id, "relay", relay_});
    send(command);
  }

  /// A refused event was published before if this relay, which goes in order, wrote what came last.
  void require_own_stream(const EntryId& last) {
    send({"XREVRANGE", settings_.stream, "+", "-", "COUNT", "1"});
    const Reply newest = receive();
    require_good(*newest, ErrorCode::io);
    if (newest->type == REDIS_REPLY_ARRAY && newest->elements > 0) {
      const redisReply& entry = *newest->element[0];
      if (entry.elements == 2 && find(*entry.element[1], "relay") == relay_) return;
      fail_for_good("the stream has entries of somebody else behind these events, and takes no more");
    }
    send({"XINFO", "STREAM", settings_.stream});
    const Reply about = receive();
    require_good(*about, ErrorCode::io);
    const std::optional<EntryId> top = EntryId::parse(find(*about, "last-generated-id").value_or(""));
    if (top && *top <= last) return;
    fail_for_good("the stream is empty, and its last id is above these events: it is not known whose it is");
  }

  template <class Words>
  void append_command(const Words& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> lengths;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      lengths.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(texts.size()), texts.data(), lengths.data()) !=
        REDIS_OK) {
      fail(ErrorCode::io, context_->errstr);
    }
  }
  void send(const std::vector<std::string>& words) { append_command(words); }
  void send(std::initializer_list<std::string> words) { append_command(words); }

  Reply receive() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK || reply == nullptr) {
      const bool timed_out = context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
      fail(ErrorCode::io, timed_out ? "no answer in time" : context_->errstr);
    }
    return Reply(static_cast<redisReply*>(reply));
  }

  void require_good(const redisReply& reply, ErrorCode code) {
    if (reply.type == REDIS_REPLY_ERROR) fail(code, without_arguments(text_of(reply)));
  }

  timeval timeout_value() const {
    const std::int64_t milliseconds = settings_.timeout.count();
    timeval value{};
    value.tv_sec = static_cast<decltype(value.tv_sec)>(milliseconds / 1'000);
    value.tv_usec = static_cast<decltype(value.tv_usec)>(milliseconds % 1'000 * 1'000);
    return value;
  }

  std::string place() const { return settings_.host + ":" + std::to_string(settings_.port); }

  [[noreturn]] void fail(ErrorCode code, const std::string& why) const {
    Error::Details details;
    details.backend = "redis";
    details.retryable = true;  // What is there already is not added again.
    details.outcome = code == ErrorCode::io ? Outcome::unknown : Outcome::not_applied;
    throw Error(code, "Redis at " + place() + ": " + why, details);
  }

  [[noreturn]] void fail_for_good(const std::string& why) const {
    Error::Details details;
    details.backend = "redis";
    throw Error(ErrorCode::invalid_argument, "Redis at " + place() + ", stream \"" + settings_.stream + "\": " + why,
                details);
  }

  const Settings settings_;
  const std::string relay_;
  std::unique_ptr<redisContext, ContextDeleter> context_;
};

RedisPublisher::RedisPublisher(std::string_view url, std::string relay)
    : impl_(std::make_unique<Impl>(url, std::move(relay))) {}
RedisPublisher::~RedisPublisher() = default;

void RedisPublisher::publish(std::span<const RecordedEvent> events) {
  impl_->publish(events);
}

}  // namespace stele
