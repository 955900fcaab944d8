#include "stele/event_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <thread>

#include "append_signal.h"
#include "governed_driver.h"
#include "inline_projection.h"
#include "page_source.h"
#include "prepare.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "verify_store.h"

namespace stele {

struct EventStore::State {
  std::unique_ptr<detail::GovernedDriver> driver;
  std::shared_ptr<KeyProvider> keys;
  Clearance clearance = Clearance::secrets;
  std::atomic<bool> closed{false};
  std::shared_ptr<const Upcasters> upcasters;
  detail::InlineProjections inline_projections;
  std::once_flag signal_made;
  std::unique_ptr<detail::AppendSignal> signal;  // Uses the driver.
  std::atomic<detail::AppendSignal*> signalled{nullptr};

  driver::Driver& open_driver() {
    if (closed.load(std::memory_order_acquire)) throw Error(ErrorCode::closed, "the store was closed");
    return *driver;
  }

  std::vector<driver::AppendAnswer> append(std::span<driver::PreparedAppend> appends);
  std::vector<driver::AppendAnswer> send(std::span<driver::PreparedAppend> appends) {
    driver::Driver& to = open_driver();
    return inline_projections.empty() ? to.append(appends) : inline_projections.append(to, upcasters, appends);
  }
  std::vector<driver::AppendAnswer> append_resolved(std::span<driver::PreparedAppend> appends);
  void resolve(std::span<driver::PreparedAppend> appends, const Error& first,
               std::vector<driver::AppendAnswer>& answers);
};

namespace {

// A server that restarts needs some seconds.
constexpr int resolution_tries = 8;
// No new try after this; each may take its own time for a connection and for locks.
constexpr std::chrono::seconds longest_resolution{30};

std::chrono::milliseconds pause_before_retry(int attempt) {
  return std::chrono::milliseconds(std::min(1'000, 10 << attempt));
}

class StreamPages final : public detail::PageSource {
 public:
  StreamPages(std::function<driver::Driver&()> driver, StreamKey stream, const StreamReadOptions& options,
              detail::Today today)
      : PageSource(options.limit, options.direction, std::move(today)),
        driver_(std::move(driver)),
        stream_(std::move(stream)),
        options_(options) {
    from_ = options.from;
    to_ = options.to.value_or(Version(std::numeric_limits<std::int64_t>::max()));
  }

 private:
  void fetch(driver::PageLimits limits, driver::EventPage& page) override {
    driver::Driver& driver = driver_();
    if (to_ < from_) return;
    driver.read_stream(
        {&stream_, options_.direction, from_, to_, options_.as_of, options_.valid_at, limits, options_.as_stored},
        page);
  }

  bool advance(const driver::EventPage& page) override {
    const std::int64_t last = page[page.size() - 1].version.value();
    if (options_.direction == Direction::forwards) {
      if (last >= to_.value()) return false;
      from_ = Version(last + 1);
    } else {
      to_ = Version(last - 1);
    }
    return from_ <= to_;
  }

  std::function<driver::Driver&()> driver_;
  StreamKey stream_;
  StreamReadOptions options_;
  Version from_;
  Version to_;
};

class LogPages final : public detail::PageSource {
 public:
  LogPages(std::function<driver::Driver&()> driver, LogReadOptions options, detail::Today of_today)
      : PageSource(options.limit, options.direction, std::move(of_today)),
        driver_(std::move(driver)),
        options_(std::move(options)) {
    options_.filter = today().stored_filter(std::move(options_.filter));
    after_ = options_.after;
    before_ = options_.before.value_or(Position(std::numeric_limits<std::int64_t>::max()));
  }

 private:
  void fetch(driver::PageLimits limits, driver::EventPage& page) override {
    driver::Driver& driver = driver_();
    if (before_.value() - 1 <= after_.value()) return;
    driver.read_log({options_.direction, after_, before_, options_.as_of, &options_.filter, limits, options_.as_stored},
                    page);
  }

  bool advance(const driver::EventPage& page) override {
    const Position last = page[page.size() - 1].position;
    (options_.direction == Direction::forwards ? after_ : before_) = last;
    return after_.value() + 1 < before_.value();
  }

  std::function<driver::Driver&()> driver_;
  LogReadOptions options_;
  Position after_;
  Position before_;
};

bool wrote_events(const driver::AppendAnswer& answer) {
  return !answer.error && answer.result.status == AppendStatus::appended && answer.result.last_position() > Position(0);
}

void check_schema(driver::Driver& driver, bool migrate) {
  driver::MigrationStore* migrations = driver.migrations();
  if (migrations == nullptr) return;
  Migrator migrator(*migrations);
  if (migrate) migrator.up();
  migrator.require_current();
}

/// The lower of what the URL and the options say. Taken out of the URL, for backends do not know it.
Clearance clearance_of(Url& url, const OpenOptions& options) {
  Clearance clearance = options.clearance;
  if (const std::optional<std::string> name = url.choice_param("clearance", {"none", "partial", "full", "secrets"})) {
    clearance = std::min(clearance, *parse_clearance(*name));
  }
  std::erase_if(url.params, [](const auto& param) { return param.first == "clearance"; });
  return clearance;
}

/// Whose alone the store is to be. Taken out of the URL, for backends do not know it.
std::optional<std::string> tenant_of(Url& url, const OpenOptions& options) {
  std::optional<std::string> tenant = url.param("tenant");
  if (tenant && options.tenant && *tenant != *options.tenant) {
    throw Error(ErrorCode::invalid_argument, "tenant: the URL names another one than the options");
  }
  if (!tenant) tenant = options.tenant;
  if (tenant) detail::check_tenant(*tenant);
  std::erase_if(url.params, [](const auto& param) { return param.first == "tenant"; });
  return tenant;
}

}  // namespace

EventStore EventStore::open(const Registry& registry, std::string_view url, const OpenOptions& options) {
  Url parsed = Url::parse(url);
  const std::optional<std::string> tenant = tenant_of(parsed, options);
  OpenOptions governed = options;
  governed.clearance = clearance_of(parsed, options);
  std::unique_ptr<driver::Driver> driver =
      registry.open(parsed, DriverOptions{.create = options.migrate, .tenant = tenant});
  check_schema(*driver, options.migrate);
  if (tenant) driver = driver::for_tenant(std::move(driver), *tenant);
  return EventStore(std::move(driver), governed);
}

EventStore::EventStore(std::unique_ptr<driver::Driver> driver, const OpenOptions& options)
    : state_(std::make_unique<State>()) {
  state_->driver = std::make_unique<detail::GovernedDriver>(
      std::move(driver), detail::GovernedDriverOptions{options.clearance, options.keys});
  state_->keys = options.keys;
  state_->clearance = options.clearance;
}

EventStore::EventStore(EventStore&&) noexcept = default;
EventStore& EventStore::operator=(EventStore&&) noexcept = default;
EventStore::~EventStore() = default;

std::vector<driver::AppendAnswer> EventStore::State::append(std::span<driver::PreparedAppend> appends) {
  const auto wake_followers = [this] {
    detail::AppendSignal* const followers = signalled.load(std::memory_order_acquire);
    if (followers != nullptr) followers->notify();
  };
  std::vector<driver::AppendAnswer> answers;
  try {
    answers = append_resolved(appends);
  } catch (...) {
    wake_followers();  // Some of them may have been applied.
    throw;
  }
  if (std::any_of(answers.begin(), answers.end(), wrote_events)) wake_followers();
  return answers;
}

std::vector<driver::AppendAnswer> EventStore::State::append_resolved(std::span<driver::PreparedAppend> appends) {
  std::vector<driver::AppendAnswer> answers;
  try {
    answers = send(appends);
  } catch (const Error& error) {
    if (error.outcome() != Outcome::unknown) throw;
    resolve(appends, error, answers);
    return answers;
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].error && answers[i].error->outcome() == Outcome::unknown) {
      std::vector<driver::AppendAnswer> one;
      const Error first = *answers[i].error;
      resolve(appends.subspan(i, 1), first, one);
      answers[i] = std::move(one.front());
    }
  }
  return answers;
}

namespace {

/// Looks for an id that only this call knows, because it made it. The caller's own ids may have been written earlier.
class OwnId {
 public:
  explicit OwnId(const driver::PreparedAppend& append) {
    if (append.command && !append.command->command_id_given) {
      command_ = &*append.command;
      return;
    }
    for (const driver::PreparedStream& stream : append.streams) {
      for (const driver::PreparedEvent& event : stream.events) {
        if (!event.event_id_given) event_ = &event;
      }
    }
  }

  bool written(driver::Driver& driver) const {
    if (command_ != nullptr) {
      const std::optional<CommandRecord> found = driver.find_command(command_->command->key);
      return found && found->command_id == command_->command_id;
    }
    return event_ != nullptr && driver.find_event(event_->event_id).has_value();
  }

 private:
  const driver::PreparedCommand* command_ = nullptr;
  const driver::PreparedEvent* event_ = nullptr;
};

/// Whether the question that this error left open can be asked again.
bool worth_asking_again(const Error& error) {
  return error.outcome() == Outcome::unknown || error.retryable() || error.code() == ErrorCode::cannot_connect;
}

/// What broke the commit may break this question, too, so it is asked as often. False when it stays open: the append is
/// there, with the outcome that was found; only who wrote it is not known.
bool written_by_this_call(const OwnId& id, driver::Driver& driver, std::chrono::steady_clock::time_point give_up) {
  for (int attempt = 1;; ++attempt) {
    try {
      return id.written(driver);
    } catch (const Error& error) {
      const bool last = attempt == resolution_tries || std::chrono::steady_clock::now() >= give_up;
      if (last || !worth_asking_again(error)) return false;
    }
    std::this_thread::sleep_for(pause_before_retry(attempt));
  }
}

}  // namespace

// The answer to a commit was lost. Appending again with the same ids finds what was committed, or commits it now.
void EventStore::State::resolve(std::span<driver::PreparedAppend> appends, const Error& first,
                                std::vector<driver::AppendAnswer>& answers) {
  std::vector<OwnId> own_ids;
  own_ids.reserve(appends.size());
  for (driver::PreparedAppend& append : appends) {
    own_ids.emplace_back(append);
    detail::look_for_earlier_try(append);
  }
  const auto open = [](const driver::AppendAnswer& answer) {
    return answer.error && worth_asking_again(*answer.error);
  };
  const auto give_up = std::chrono::steady_clock::now() + longest_resolution;
  for (int attempt = 1;; ++attempt) {
    const bool last = attempt == resolution_tries || std::chrono::steady_clock::now() >= give_up;
    try {
      answers = send(appends);
      if (last || std::none_of(answers.begin(), answers.end(), open)) break;
    } catch (const Error& error) {
      if (last || !worth_asking_again(error)) throw first;
    }
    std::this_thread::sleep_for(pause_before_retry(attempt));
  }
  // No failure of a later try says that the first one was not applied.
  for (driver::AppendAnswer& answer : answers) {
    if (answer.error) answer.error = first;
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].error || !answers[i].result.replayed()) continue;
    if (written_by_this_call(own_ids[i], *driver, give_up)) answers[i].result.status = AppendStatus::appended;
  }
}

AppendResult EventStore::append(const AppendRequest& request) {
  detail::check_append(request);
  driver::PreparedAppend prepared = detail::prepare_append(request);
  std::vector<driver::AppendAnswer> answers = state_->append({&prepared, 1});
  if (answers.front().error) throw *answers.front().error;
  return std::move(answers.front().result);
}

AppendResult EventStore::append(StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events) {
  AppendRequest request;
  request.streams.push_back({std::move(stream), expected, std::move(events)});
  return append(request);
}

namespace {

/// An error of one append of several is that of the call: it may not say of the others that they were not applied.
[[noreturn]] void throw_of_call(const Error& error, std::span<const driver::AppendAnswer> answers) {
  const auto may_be_applied = [](const driver::AppendAnswer& answer) {
    return answer.error ? answer.error->outcome() != Outcome::not_applied
                        : answer.result.status == AppendStatus::appended;
  };
  const bool applied = std::any_of(answers.begin(), answers.end(), may_be_applied);
  if (!applied || error.outcome() == Outcome::unknown || answers.size() == 1) throw error;
  throw Error(error.code(),
              error.message() + "; of the call's " + std::to_string(answers.size()) + " appends, some may be applied",
              {.backend = error.backend(),
               .native_code = error.native_code(),
               .sqlstate = error.sqlstate(),
               .retryable = false,
               .outcome = Outcome::unknown});
}

}  // namespace

std::vector<AppendResult> EventStore::append_all(std::span<const AppendRequest> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    try {
      detail::check_append(requests[i]);
    } catch (const Error& error) {
      throw Error(error.code(), "append " + std::to_string(i + 1) + ": " + error.message());
    }
  }
  std::vector<driver::PreparedAppend> prepared;
  prepared.reserve(requests.size());
  for (const AppendRequest& request : requests) prepared.push_back(detail::prepare_append(request));
  std::vector<AppendResult> results;
  results.reserve(requests.size());
  if (prepared.empty()) return results;
  std::vector<driver::AppendAnswer> answers = state_->append(prepared);
  const auto failed = std::find_if(answers.begin(), answers.end(), [](const auto& answer) { return answer.error; });
  if (failed != answers.end()) throw_of_call(*failed->error, answers);
  for (driver::AppendAnswer& answer : answers) results.push_back(std::move(answer.result));
  return results;
}

AppendResult EventStore::record_command(Command command) {
  AppendRequest request;
  request.command = std::move(command);
  return append(request);
}

void EventStore::validate(const AppendRequest& request) {
  detail::check_append(request);
}

bool EventStore::is_command_processed(const CommandKey& key) {
  return find_command(key).has_value();
}
bool EventStore::is_command_processed(const Uuid& command_id) {
  return find_command(command_id).has_value();
}

std::optional<CommandRecord> EventStore::find_command(const CommandKey& key) {
  detail::check_command_key(key);
  return state_->open_driver().find_command(key);
}

std::optional<CommandRecord> EventStore::find_command(const Uuid& command_id) {
  return state_->open_driver().find_command(command_id);
}

std::vector<CommandRecord> EventStore::list_commands(const StreamKey& stream, std::size_t limit) {
  detail::check_stream_key(stream);
  detail::check_page_size(limit);
  return state_->open_driver().list_commands(stream, limit);
}

EventReader EventStore::read_stream(StreamKey stream, StreamReadOptions options) {
  detail::check_stream_key(stream);
  detail::check_read(options);
  State* state = state_.get();
  state->open_driver();
  return EventReader(std::make_unique<StreamPages>(
      [state]() -> driver::Driver& { return state->open_driver(); }, std::move(stream), options,
      detail::Today(options.as_stored || !options.upcast ? nullptr : state->upcasters, {})));
}

EventReader EventStore::read_log(LogReadOptions options) {
  detail::check_read(options);
  State* state = state_.get();
  state->open_driver();
  detail::Today today(options.as_stored || !options.upcast ? nullptr : state->upcasters, options.filter.event_types);
  return EventReader(std::make_unique<LogPages>([state]() -> driver::Driver& { return state->open_driver(); },
                                                std::move(options), std::move(today)));
}

std::optional<RecordedEvent> EventStore::find_event(const Uuid& event_id) {
  return state_->open_driver().find_event(event_id);
}

std::optional<StreamInfo> EventStore::stream_info(const StreamKey& stream) {
  detail::check_stream_key(stream);
  return state_->open_driver().stream_info(stream);
}

Version EventStore::stream_version(const StreamKey& stream) {
  const std::optional<StreamInfo> info = stream_info(stream);
  return info ? info->version : Version(0);
}

std::vector<StreamInfo> EventStore::list_streams(const StreamListOptions& options) {
  detail::check_list(options);
  return state_->open_driver().list_streams(options);
}

StoreStats EventStore::stats() {
  return state_->open_driver().stats();
}

std::optional<std::string> EventStore::tenant() const {
  return state_->open_driver().tenant();
}

Position EventStore::log_end() {
  return state_->open_driver().settled_position();
}

void EventStore::use_upcasters(std::shared_ptr<const Upcasters> upcasters) {
  state_->upcasters = std::move(upcasters);
}

const std::shared_ptr<const Upcasters>& EventStore::upcasters() const noexcept {
  return state_->upcasters;
}

void EventStore::use_inline_projection(std::shared_ptr<Projection> projection) {
  state_->inline_projections.add(*this, std::move(projection));
}

Clearance EventStore::clearance() const noexcept {
  return state_->clearance;
}

const std::shared_ptr<KeyProvider>& EventStore::keys() const noexcept {
  return state_->keys;
}

Position EventStore::last_forgotten(const std::string& tenant) {
  detail::check_tenant(tenant);
  if (keys() == nullptr) return {};
  LogReadOptions notices;
  notices.direction = Direction::backwards;
  notices.limit = 1;
  notices.filter.tenant = tenant;
  notices.filter.event_types = {std::string(subject_forgotten_type)};
  notices.as_stored = true;
  EventReader reader = read_log(notices);
  const RecordedEvent* last = reader.next();
  state_->driver->ask_for_keys_anew();
  return last == nullptr ? Position() : last->position;
}

VerifyReport EventStore::verify(const VerifyOptions& options) {
  return detail::verify_store(*this, state_->open_driver(), options);
}

void EventStore::close() noexcept {
  if (state_ == nullptr || state_->closed.exchange(true, std::memory_order_acq_rel)) return;
  if (detail::AppendSignal* const followers = state_->signalled.load(std::memory_order_acquire)) followers->close();
  state_->driver.reset();
}

driver::Driver& EventStore::driver() {
  return state_->open_driver();
}

detail::AppendSignal& EventStore::append_signal() {
  driver::Driver& driver = state_->open_driver();
  std::call_once(state_->signal_made, [&] {
    state_->signal = std::make_unique<detail::AppendSignal>(driver);
    state_->signalled.store(state_->signal.get(), std::memory_order_release);
  });
  return *state_->signal;
}

}  // namespace stele
