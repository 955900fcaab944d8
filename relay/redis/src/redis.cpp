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
constexpr int tries = 100;

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

/// What a try to add came to.
enum class Added : std::uint8_t { yes, somebody_wrote_meanwhile };

std::string_view text_of(const redisReply& reply) noexcept {
  const bool has_text =
      reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS || reply.type == REDIS_REPLY_ERROR;
  return has_text ? std::string_view(reply.str, reply.len) : std::string_view();
}

bool is_array(const redisReply& reply, std::size_t elements) noexcept {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements == elements;
}

/// The value behind a name in a list of names and values.
const redisReply* find(const redisReply& pairs, std::string_view name) {
  for (std::size_t i = 0; i + 1 < pairs.elements; i += 2) {
    if (text_of(*pairs.element[i]) == name) return pairs.element[i + 1];
  }
  return nullptr;
}

std::optional<std::string_view> find_text(const redisReply& pairs, std::string_view name) {
  const redisReply* const value = find(pairs, name);
  return value == nullptr ? std::nullopt : std::optional(text_of(*value));
}

/// What the server says, without what it repeats of the command.
std::string without_arguments(std::string_view error) {
  return std::string(error.substr(0, std::min(error.find(", with args"), error_bytes)));
}

}  // namespace

class RedisPublisher::Impl {
 public:
  Impl(std::string_view url, std::string relay, std::string tenant)
      : settings_(Settings::parse(url)), relay_(std::move(relay)), tenant_(std::move(tenant)) {}

  void publish(std::span<const RecordedEvent> events) {
    if (events.empty()) return;
    const WithoutSigpipe guard;
    try {
      if (!context_) connect();
      add_all(entries_of(events));
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

  struct Entry {
    EntryId id;
    const RecordedEvent* event;
    std::vector<std::string> command;
  };

  std::vector<Entry> entries_of(std::span<const RecordedEvent> events) const {
    std::vector<Entry> entries;
    EntryId id;
    for (const RecordedEvent& event : events) {
      const std::int64_t position = event.position.value();
      id = {position, position == id.position ? id.number + 1 : 0};
      entries.push_back({id, &event, command_of(event, id)});
    }
    return entries;
  }

  std::vector<std::string> command_of(const RecordedEvent& event, const EntryId& id) const {
    std::vector<std::string> command{"XADD", settings_.stream};
    if (settings_.maxlen) command.insert(command.end(), {"MAXLEN", "~", std::to_string(*settings_.maxlen)});
    command.insert(command.end(),
                   {id.to_string(), "event", to_json_line(event), "id", event.event_id.to_string(), "type", event.type,
                    "tenant", event.stream.tenant, "stream", event.stream.type + "/" + event.stream.id, "relay", relay_,
                    "relay_tenant", tenant_});
    return command;
  }

  /// Whoever writes between the look at the stream and the adding makes it begin again.
  void add_all(const std::vector<Entry>& entries) {
    for (int i = 0; i < tries; ++i) {
      if (try_to_add(entries) == Added::yes) return;
    }
    fail(ErrorCode::io, "others change the stream without a pause");
  }

  Added try_to_add(const std::vector<Entry>& entries) {
    const std::optional<EntryId> top = watch(entries);
    const auto first =
        std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return !top || e.id > *top; });
    require_published({entries.begin(), first});
    // All or nothing: an entry that is missing below others could never be added again.
    send({"MULTI"});
    for (auto entry = first; entry != entries.end(); ++entry) send(entry->command);
    send({"EXEC"});
    std::optional<std::string> refused;
    for (auto commands = entries.end() - first + 1; commands > 0; --commands) {
      const Reply queued = receive();
      if (queued->type == REDIS_REPLY_ERROR && !refused) refused = without_arguments(text_of(*queued));
    }
    const Reply done = receive();
    if (refused) fail(ErrorCode::io, *refused);  // Says more than what EXEC says of it.
    require_good(*done, ErrorCode::io);
    if (done->type != REDIS_REPLY_ARRAY) return Added::somebody_wrote_meanwhile;
    for (std::size_t i = 0; i < done->elements; ++i) require_good(*done->element[i], ErrorCode::io);
    return Added::yes;
  }

  /// The stream's last id, which ours have to be above. What is at or below it has to be this relay's.
  std::optional<EntryId> watch(const std::vector<Entry>& entries) {
    send({"WATCH", settings_.stream});
    send({"XREVRANGE", settings_.stream, "+", "-", "COUNT", "1"});
    const Reply watching = receive();
    const Reply newest = receive();
    require_good(*watching, ErrorCode::io);
    require_good(*newest, ErrorCode::io);
    if (is_array(*newest, 1) && is_array(*newest->element[0], 2)) {
      const redisReply& entry = *newest->element[0];
      const redisReply& fields = *entry.element[1];
      const std::optional<EntryId> top = EntryId::parse(text_of(*entry.element[0]));
      const bool below = top && *top < entries.front().id;
      if (!below && !(top && find_text(fields, "relay") == relay_ && find_text(fields, "relay_tenant") == tenant_)) {
        fail_for_good("the stream has entries of somebody else behind these events, and takes no more");
      }
      return top;
    }
    const Reply about = stream_info();
    if (!about) return std::nullopt;
    const std::optional<EntryId> top = EntryId::parse(find_text(*about, "last-generated-id").value_or(""));
    if (!top || *top < entries.front().id) return top;
    if (std::none_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.id == *top; })) {
      fail_for_good("the stream is empty, and its last id is none of these events': it is not known whose it is");
    }
    return top;
  }

  /// These cannot be added any more. Each of them has to be there, unless it may have been there.
  void require_published(std::span<const Entry> entries) {
    for (const Entry& entry : entries) {
      send({"XRANGE", settings_.stream, entry.id.to_string(), entry.id.to_string()});
    }
    std::optional<EntryId> missing;
    for (const Entry& entry : entries) {
      const Reply found = receive();
      require_good(*found, ErrorCode::io);
      if (!is_array(*found, 1) || !is_array(*found->element[0], 2)) {
        missing = entry.id;  // The last one will do: what is removed is removed from the beginning on.
      } else if (find_text(*found->element[0]->element[1], "id") != entry.event->event_id.to_string()) {
        fail_for_good("the entry " + entry.id.to_string() + " is of another event: is the store another one?");
      }
    }
    if (missing && !may_be_removed(*missing)) {
      fail_for_good("the entry " + missing->to_string() + " has never been there, and there are entries behind it");
    }
  }

  bool may_be_removed(const EntryId& id) {
    const Reply about = stream_info();
    if (!about) return true;
    const redisReply* const added = find(*about, "entries-added");
    const redisReply* const length = find(*about, "length");
    if (added == nullptr || length == nullptr) return true;  // Before Redis 7 it is not told.
    if (added->integer <= length->integer) return false;
    const std::optional<EntryId> deleted = EntryId::parse(find_text(*about, "max-deleted-entry-id").value_or(""));
    const redisReply* const first = find(*about, "first-entry");
    if (first == nullptr || !is_array(*first, 2)) return true;
    const std::optional<EntryId> oldest = EntryId::parse(text_of(*first->element[0]));
    return !oldest || id < *oldest || !deleted || id <= *deleted;
  }

  /// Nothing when there is no such stream.
  Reply stream_info() {
    send({"XINFO", "STREAM", settings_.stream});
    Reply about = receive();
    if (about->type == REDIS_REPLY_ERROR && text_of(*about).starts_with("ERR no such key")) return nullptr;
    require_good(*about, ErrorCode::io);
    return about;
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
  const std::string tenant_;
  std::unique_ptr<redisContext, ContextDeleter> context_;
};

RedisPublisher::RedisPublisher(std::string_view url, std::string relay, std::string tenant)
    : impl_(std::make_unique<Impl>(url, std::move(relay), std::move(tenant))) {}
RedisPublisher::~RedisPublisher() = default;

void RedisPublisher::publish(std::span<const RecordedEvent> events) {
  impl_->publish(events);
}

}  // namespace stele
