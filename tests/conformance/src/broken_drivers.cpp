#include "stele/testing/broken_drivers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <unordered_map>

#include "edited_append.h"
#include "stele/testing/forwarding_driver.h"

namespace stele::testing {
namespace {

using driver::AppendAnswer;
using driver::EventPage;
using driver::Lease;
using driver::LogPageRequest;
using driver::PartKey;
using driver::PartState;
using driver::PreparedAppend;
using driver::PreparedEvent;
using driver::PreparedStream;
using driver::ProjectionState;
using driver::StreamPageRequest;

// --- Kinds of decorators ---------------------------------------------------------------------------------------------

/// Breaks appends, one at a time.
class BrokenAppends : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    std::vector<AppendAnswer> answers;
    answers.reserve(appends.size());
    for (const PreparedAppend& append : appends) answers.push_back(append_one(append));
    return answers;
  }

 protected:
  virtual AppendAnswer append_one(const PreparedAppend& append) = 0;

  AppendAnswer pass_on(const PreparedAppend& append) { return std::move(inner().append({&append, 1}).front()); }

  /// Writes its events whatever was promised.
  AppendAnswer write_as_new(const PreparedAppend& append) {
    EditedAppend edited(append);
    edited.make_new_request();
    return pass_on(edited.append);
  }
};

/// Breaks what appends ask for.
class BrokenRequests : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 protected:
  virtual void change(EditedAppend& edited) = 0;

  AppendAnswer append_one(const PreparedAppend& append) final {
    EditedAppend edited(append);
    change(edited);
    return pass_on(edited.append);
  }
};

/// Breaks every event that is read.
class BrokenEvents : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    inner().read_stream(request, page);
    for (std::size_t i = 0; i < page.size(); ++i) change(page[i]);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    inner().read_log(request, page);
    for (std::size_t i = 0; i < page.size(); ++i) change(page[i]);
  }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    std::optional<RecordedEvent> event = inner().find_event(event_id);
    if (event) change(*event);
    return event;
  }

 protected:
  virtual void change(RecordedEvent& event) = 0;
};

// --- Atomicity and versions ------------------------------------------------------------------------------------------

class LostAtomicity final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (answer.result.ok() || append.streams.size() < 2) return answer;
    // The first stream was as expected and is written before the second one turns out not to be.
    PreparedAppend first = append;
    first.streams.erase(first.streams.begin() + 1, first.streams.end());
    first.conditions = {};
    first.command.reset();
    pass_on(first);
    return answer;
  }
};

class VersionOffByOne final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (!answer.result.conflict || answer.result.conflict->expected.kind() != ExpectedVersion::Kind::exactly)
      return answer;
    // A writer that is one event behind wins all the same.
    EditedAppend edited(append);
    for (PreparedStream& stream : edited.append.streams) {
      if (stream.expected.kind() == ExpectedVersion::Kind::exactly) {
        stream.expected = ExpectedVersion::exactly(stream.expected.version().value() + 1);
      }
    }
    AppendAnswer second = pass_on(edited.append);
    return second.result.ok() ? second : answer;
  }
};

class SwallowedConflict final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (answer.result.status != AppendStatus::conflict) return answer;
    AppendResult success;
    for (const PreparedStream& stream : append.streams) {
      const std::optional<StreamInfo> info = inner().stream_info(*stream.key);
      const Version version = info ? info->version : Version(0);
      success.streams.push_back({*stream.key, Version(version.value() + 1), version, {}, {}});
    }
    return {success, std::nullopt};
  }
};

class NoStreamChecksNothing final : public BrokenRequests {
 public:
  using BrokenRequests::BrokenRequests;

 private:
  void change(EditedAppend& edited) override {
    for (PreparedStream& stream : edited.append.streams) {
      if (stream.expected == ExpectedVersion::no_stream()) stream.expected = ExpectedVersion::any();
    }
  }
};

class ConditionsIgnored final : public BrokenRequests {
 public:
  using BrokenRequests::BrokenRequests;

 private:
  void change(EditedAppend& edited) override { edited.append.conditions = {}; }
};

/// Where callers of any driver meet when they have looked at the same thing, so that a race is no matter of luck.
class MeetingPlace {
 public:
  /// Waits until somebody else has come with this key, or nobody came for a while.
  void wait_for_another(const std::string& key) {
    std::unique_lock lock(mutex_);
    const int mine = ++arrivals_[key];
    came_.notify_all();
    came_.wait_for(lock, std::chrono::milliseconds(30), [&] { return arrivals_[key] > mine; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::map<std::string, int> arrivals_;
};

/// Checks, and writes a moment later what it then takes for granted.
class CheckThenAct final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    if (append.command) return pass_on(append);
    EditedAppend check(append);
    for (PreparedStream& stream : check.append.streams) stream.events.clear();
    check.append.command.reset();
    if (!pass_on(check.append).result.ok()) return pass_on(append);
    static MeetingPlace meeting_place;
    if (!append.streams.empty()) meeting_place.wait_for_another(append.streams.front().key->to_string());
    EditedAppend write(append);
    write.append.conditions = {};
    for (PreparedStream& stream : write.append.streams) stream.expected = ExpectedVersion::any();
    return pass_on(write.append);
  }
};

/// One append that fails takes the others of its call with it.
class NeighboursFail final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    std::vector<AppendAnswer> answers;
    for (const PreparedAppend& append : appends) {
      answers.push_back(std::move(inner().append({&append, 1}).front()));
      if (!answers.back().result.ok()) break;
    }
    if (!appends.empty()) answers.resize(appends.size(), AppendAnswer(answers.back()));
    return answers;
  }
};

// --- Deduplication ---------------------------------------------------------------------------------------------------

class DedupIgnoresPayload final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (answer.result.status != AppendStatus::request_id_reused) return answer;
    const std::optional<CommandRecord> known = inner().find_command(append.command->command->key);
    if (!known) return answer;
    AppendResult replayed;
    replayed.status = AppendStatus::replayed;
    replayed.streams = known->outcome;
    return {replayed, std::nullopt};
  }
};

class ReplayAppendsAgain final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (answer.result.replayed()) write_as_new(append);
    return answer;
  }
};

class ReplayTellsTheCurrentVersion final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (!answer.result.replayed()) return answer;
    for (StreamOutcome& stream : answer.result.streams) {
      if (const auto info = inner().stream_info(stream.stream)) stream.last_version = info->version;
    }
    return answer;
  }
};

/// Looks the key up, and appends later without looking again.
class RequestKeyRace final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    if (!append.command || inner().find_command(append.command->command->key)) return pass_on(append);
    static MeetingPlace meeting_place;
    const CommandKey& key = append.command->command->key;
    meeting_place.wait_for_another(key.source + ":" + key.request_id);
    AppendAnswer answer = pass_on(append);
    const AppendStatus status = answer.result.status;
    if (status != AppendStatus::replayed && status != AppendStatus::request_id_reused) return answer;
    return write_as_new(append);
  }
};

class EmptyCommandsForgotten final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    const bool empty = std::all_of(append.streams.begin(), append.streams.end(),
                                   [](const PreparedStream& stream) { return stream.events.empty(); });
    if (!empty || !append.command || inner().find_command(append.command->command->key)) return pass_on(append);
    EditedAppend edited(append);
    edited.append.command.reset();
    return pass_on(edited.append);
  }
};

/// Takes any event whose id is there for a repetition.
class EventIdsAlone final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendAnswer answer = pass_on(append);
    if (answer.result.status == AppendStatus::duplicate_event_id) {
      answer.result.status = AppendStatus::replayed;
      for (const PreparedStream& stream : append.streams) {
        const auto info = inner().stream_info(*stream.key);
        const Version version = info ? info->version : Version(0);
        answer.result.streams.push_back({*stream.key, Version(version.value() + 1), version, {}, {}});
      }
    }
    return answer;
  }
};

// --- History ---------------------------------------------------------------------------------------------------------

/// An append with the id of a stored event changes that event, as INSERT OR REPLACE does.
class MutableHistory final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    std::vector<AppendAnswer> answers = inner().append(appends);
    for (std::size_t i = 0; i < appends.size(); ++i) {
      if (answers[i].result.status != AppendStatus::duplicate_event_id) continue;
      const std::lock_guard lock(mutex_);
      for (const PreparedStream& stream : appends[i].streams) {
        for (const PreparedEvent& event : stream.events) {
          replaced_[event.event_id] = *event.event;
        }
      }
    }
    return answers;
  }

 private:
  void change(RecordedEvent& event) override {
    const std::lock_guard lock(mutex_);
    const auto found = replaced_.find(event.event_id);
    if (found != replaced_.end()) static_cast<EventFields&>(event) = found->second;
  }

  std::mutex mutex_;
  std::unordered_map<Uuid, EventFields> replaced_;
};

class RecordedAtSetByCaller final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  void change(RecordedEvent& event) override { event.recorded_at = event.occurred_at; }
};

class ClockGoesBack final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  void change(RecordedEvent& event) override {
    event.recorded_at = Timestamp::from_micros(event.recorded_at.micros() - event.version.value() * 1'000'000);
  }
};

// --- Fidelity --------------------------------------------------------------------------------------------------------

class MicrosecondsLost final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  static Timestamp cut(Timestamp time) { return Timestamp::from_micros(time.micros() - time.micros() % 1000); }
  void change(RecordedEvent& event) override {
    event.occurred_at = cut(event.occurred_at);
    if (event.valid_from) event.valid_from = cut(*event.valid_from);
    if (event.valid_to) event.valid_to = cut(*event.valid_to);
  }
};

class NumberDigitsLost final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  void change(RecordedEvent& event) override { event.data = Json(event.data.value()); }
};

class AttributesLost final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  void change(RecordedEvent& event) override { event.attributes.clear(); }
};

class AbsentIsEmpty final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

 private:
  void change(RecordedEvent& event) override {
    if (!event.metadata) event.metadata = Json();
    if (!event.source) event.source = "";
  }
};

// --- Keys ------------------------------------------------------------------------------------------------------------

/// Takes keys for equal that are not, as a collation does: the first spelling of each is what is stored.
class FoldedKeys : public BrokenRequests {
 public:
  using BrokenRequests::BrokenRequests;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    const StreamKey key = first_spelling(*request.stream);
    StreamPageRequest changed = request;
    changed.stream = &key;
    inner().read_stream(changed, page);
  }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override {
    return inner().stream_info(first_spelling(stream));
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    return inner().list_commands(first_spelling(stream), limit);
  }

 protected:
  virtual StreamKey fold(const StreamKey& key) const = 0;

 private:
  void change(EditedAppend& edited) override {
    for (StreamKey& key : edited.keys) key = first_spelling(key);
    for (StreamCondition& condition : edited.conditions) condition.stream = first_spelling(condition.stream);
    if (edited.append.command) edited.command_stream = first_spelling(edited.command_stream);
  }

  StreamKey first_spelling(const StreamKey& key) {
    const std::lock_guard lock(mutex_);
    return spellings_.emplace(fold(key), key).first->second;
  }

  std::mutex mutex_;
  std::map<StreamKey, StreamKey> spellings_;
};

class CaseFoldedKeys final : public FoldedKeys {
 public:
  using FoldedKeys::FoldedKeys;

 private:
  StreamKey fold(const StreamKey& key) const override {
    StreamKey folded = key;
    for (std::string* text : {&folded.type, &folded.id}) {
      for (char& c : *text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
    }
    return folded;
  }
};

class TrailingSpacesIgnored final : public FoldedKeys {
 public:
  using FoldedKeys::FoldedKeys;

 private:
  StreamKey fold(const StreamKey& key) const override {
    StreamKey folded = key;
    for (std::string* text : {&folded.type, &folded.id}) text->resize(text->find_last_not_of(' ') + 1);
    return folded;
  }
};

class TenantMixed final : public FoldedKeys {
 public:
  using FoldedKeys::FoldedKeys;

  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogFilter filter = *request.filter;
    filter.tenant.reset();
    LogPageRequest changed = request;
    changed.filter = &filter;
    inner().read_log(changed, page);
  }

 private:
  StreamKey fold(const StreamKey& key) const override { return {"", key.type, key.id}; }
};

// --- Reading ---------------------------------------------------------------------------------------------------------

/// The row read to find out whether more follows overwrites the last row of the page.
class PageBoundaryOffByOne final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    StreamPageRequest changed = request;
    ++changed.limits.max_events;
    inner().read_stream(changed, page);
    overwrite_last(page, request.limits.max_events);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogPageRequest changed = request;
    ++changed.limits.max_events;
    inner().read_log(changed, page);
    overwrite_last(page, request.limits.max_events);
  }

 private:
  static void overwrite_last(EventPage& page, std::size_t max_events) {
    if (page.size() <= max_events) return;
    std::swap(page[max_events - 1], page[max_events]);
    page.drop_last();
  }
};

/// A full page is taken for the last one.
class FirstPageOnly final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    inner().read_stream(request, page);
    page.end = true;
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    inner().read_log(request, page);
    page.end = true;
  }
};

class LimitIgnored final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    StreamPageRequest changed = request;
    changed.limits.max_events = everything;
    inner().read_stream(changed, page);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogPageRequest changed = request;
    changed.limits.max_events = everything;
    inner().read_log(changed, page);
  }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    StreamListOptions changed = options;
    changed.limit = everything;
    return inner().list_streams(changed);
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t) override {
    return inner().list_commands(stream, everything);
  }

 private:
  static constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();
};

class BackwardsIsForwards final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    StreamPageRequest changed = request;
    changed.direction = Direction::forwards;
    inner().read_stream(changed, page);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogPageRequest changed = request;
    changed.direction = Direction::forwards;
    inner().read_log(changed, page);
  }
};

class FilterIgnored final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_log(const LogPageRequest& request, EventPage& page) override {
    const LogFilter nothing{};
    LogPageRequest changed = request;
    changed.filter = &nothing;
    inner().read_log(changed, page);
  }
};

class OneAttributeOfMany final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogFilter filter = *request.filter;
    if (filter.attributes.size() > 1) filter.attributes.resize(1);
    LogPageRequest changed = request;
    changed.filter = &filter;
    inner().read_log(changed, page);
  }
};

class AsOfIgnored final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    StreamPageRequest changed = request;
    changed.as_of.reset();
    inner().read_stream(changed, page);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogPageRequest changed = request;
    changed.as_of.reset();
    inner().read_log(changed, page);
  }
};

class AfterIsInclusive final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  void read_log(const LogPageRequest& request, EventPage& page) override {
    LogPageRequest changed = request;
    if (request.after > Position(0)) changed.after = Position(request.after.value() - 1);
    inner().read_log(changed, page);
  }
};

/// Takes a position, and commits some time later: readers meanwhile see the events behind it and move on.
class LateCommitSkipped final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    std::vector<AppendAnswer> answers;
    std::set<Position> mine;
    bool slow = false;
    {
      const std::lock_guard lock(mutex_);
      answers = inner().append(appends);
      for (const AppendAnswer& answer : answers) {
        if (answer.result.status != AppendStatus::appended) continue;
        for (const StreamOutcome& stream : answer.result.streams) {
          for (auto i = stream.first_position; i <= stream.last_position && i > Position(0);
               i = Position(i.value() + 1)) {
            mine.insert(i);
          }
        }
      }
      uncommitted_.insert(mine.begin(), mine.end());
      slow = ++appends_ % 2 == 0;
    }
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const std::lock_guard lock(mutex_);
    for (const Position position : mine) uncommitted_.erase(position);
    return answers;
  }

  void read_log(const LogPageRequest& request, EventPage& page) override {
    const std::lock_guard lock(mutex_);
    inner().read_log(request, page);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < page.size(); ++i) {
      if (uncommitted_.contains(page[i].position)) continue;
      if (kept != i) std::swap(page[kept], page[i]);
      ++kept;
    }
    while (page.size() > kept) page.drop_last();
  }

 private:
  std::mutex mutex_;
  std::set<Position> uncommitted_;
  int appends_ = 0;
};

/// Reads positions through 32-bit integers, as SOCI's rowset does.
class Positions32Bit final : public BrokenEvents {
 public:
  using BrokenEvents::BrokenEvents;

  void read_log(const LogPageRequest& request, EventPage& page) override {
    BrokenEvents::read_log(request, page);
    page.scanned_to = cut(page.scanned_to);
  }
  StoreStats stats() override {
    StoreStats stats = inner().stats();
    stats.last_position = cut(stats.last_position);
    return stats;
  }

 private:
  static Position cut(Position position) {
    return Position(static_cast<std::int32_t>(static_cast<std::uint32_t>(position.value())));
  }
  void change(RecordedEvent& event) override { event.position = cut(event.position); }
};

/// Shows an append's events one by one: a reader that comes in between sees a part.
class PartsAreVisible final : public BrokenAppends {
 public:
  using BrokenAppends::BrokenAppends;

 private:
  AppendAnswer append_one(const PreparedAppend& append) override {
    AppendResult whole;
    if (append.command || append.streams.size() < 2 || !append.conditions.empty()) return pass_on(append);
    for (const PreparedStream& stream : append.streams) {
      if (stream.expected.kind() != ExpectedVersion::Kind::any) return pass_on(append);
      for (const PreparedEvent& event : stream.events) {
        if (event.event_id_given || event.event->idempotency_key) return pass_on(append);
      }
    }
    for (const PreparedStream& stream : append.streams) {
      PreparedAppend part = append;
      part.streams.assign(1, stream);
      whole.streams.push_back(pass_on(part).result.streams.front());
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    return {whole, std::nullopt};
  }
};

// --- The read side

std::optional<PartState> find_part(driver::Driver& driver, const PartKey& key) {
  const std::optional<ProjectionState> projection = driver.find_projection(key.projection);
  if (!projection) return std::nullopt;
  for (const PartState& part : projection->checkpoints) {
    if (part.key == key) return part;
  }
  return std::nullopt;
}

std::optional<Lease> current_lease(driver::Driver& driver, Lease lease) {
  const std::optional<PartState> part = find_part(driver, lease.key);
  if (!part) return std::nullopt;
  lease.fence = part->fence;
  lease.position = part->position;
  return lease;
}

/// Breaks transactions of read models.
template <class Transaction>
class BrokenTransactions final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    return std::make_unique<Transaction>(inner(), inner().begin_read_model(idle_limit));
  }
};

class BrokenTransaction : public ForwardingTransaction {
 public:
  BrokenTransaction(driver::Driver& driver, std::unique_ptr<driver::ReadModelTransaction> inner)
      : ForwardingTransaction(std::move(inner)), driver_(driver) {}

 protected:
  driver::Driver& database() noexcept { return driver_; }

  /// The lease as it is now, whoever has it.
  std::optional<Lease> current(const Lease& lease) { return current_lease(driver_, lease); }

 private:
  driver::Driver& driver_;
};

class StartForgotten final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts, Position /*start*/,
                                  driver::ProjectionKind kind) override {
    return inner().open_projection(key, parts, Position(0), kind);
  }
};

/// Keeps what a name is used for, and does not look at it.
class NamesOfManyUses final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts, Position start,
                                  driver::ProjectionKind kind) override {
    const std::optional<ProjectionState> found = inner().find_projection(key);
    return inner().open_projection(key, parts, start, found ? found->kind.value_or(kind) : kind);
  }
};

/// Looks whether the lease is free, and takes it a moment later without looking again.
class LeaseGivenTwice final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                     std::chrono::milliseconds time) override {
    const std::optional<PartState> part = find_part(inner(), key);
    if (!part || (part->leased && part->holder != holder)) return std::nullopt;
    static MeetingPlace meeting_place;
    meeting_place.wait_for_another(key.projection.name);
    std::optional<Lease> lease = inner().acquire_lease(key, holder, time);
    return lease ? lease : current_lease(inner(), {key, holder, 0, part->position});
  }
};

/// A fence that is the same for each lease tells nobody apart.
class FenceStays final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                     std::chrono::milliseconds time) override {
    std::optional<Lease> lease = inner().acquire_lease(key, holder, time);
    if (lease) lease->fence = 1;
    return lease;
  }
  std::optional<ProjectionState> find_projection(const driver::ProjectionKey& key) override {
    std::optional<ProjectionState> state = inner().find_projection(key);
    if (!state) return state;
    for (PartState& part : state->checkpoints) part.fence = std::min<std::int64_t>(part.fence, 1);
    return state;
  }
  bool renew_lease(const Lease& lease, std::chrono::milliseconds time) override {
    const std::optional<Lease> current = current_lease(inner(), lease);
    return current && inner().renew_lease(*current, time);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override;
};

class MovedByZombies final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  bool move_checkpoint(const Lease& lease, Position to) override {
    const std::optional<Lease> now = current(lease);
    return now && inner().move_checkpoint(*now, to);
  }
};

std::unique_ptr<driver::ReadModelTransaction> FenceStays::begin_read_model(std::chrono::milliseconds idle_limit) {
  return std::make_unique<MovedByZombies>(inner(), inner().begin_read_model(idle_limit));
}

/// The checkpoint is committed by itself, before the effects.
class CheckpointApart final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  bool move_checkpoint(const Lease& lease, Position to) override {
    const auto other = database().begin_read_model();
    const bool moved = other->move_checkpoint(lease, to);
    if (moved) other->commit();
    return moved;
  }
};

/// Looks at the fence alone: it does not notice that a commit of its holder was taken back.
class MovedFromAnywhere final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  bool move_checkpoint(const Lease& lease, Position to) override {
    const std::optional<Lease> now = current(lease);
    return now && now->fence == lease.fence && inner().move_checkpoint(*now, to);
  }
};

/// The effects are there at once, whatever becomes of the checkpoint.
class EffectsApart final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  void on_commit(std::function<void()> change) override { change(); }
};

/// Looks at the fence, and moves the checkpoint at the end without looking again: meanwhile another may get the lease.
class MovedAtTheEnd final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  bool move_checkpoint(const Lease& lease, Position to) override {
    const std::optional<Lease> now = current(lease);
    if (!now || now->fence != lease.fence) return false;
    moves_.emplace_back(lease, to);
    return true;
  }
  void commit() override {
    for (const auto& [lease, to] : moves_) {
      if (const std::optional<Lease> now = current(lease)) inner().move_checkpoint(*now, to);
    }
    inner().commit();
  }

 private:
  std::vector<std::pair<Lease, Position>> moves_;
};

class SwitchApart final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override {
    const auto other = database().begin_read_model();
    const bool done = other->activate(projection, from, generation);
    if (done) other->commit();
    return done;
  }
};

class DeadLettersApart final : public BrokenTransaction {
 public:
  using BrokenTransaction::BrokenTransaction;

  void add_dead_letter(const driver::DeadLetter& letter) override {
    const auto other = database().begin_read_model();
    other->add_dead_letter(letter);
    other->commit();
  }
};

/// Gives a hook no more than the first page of what was written.
class HookOfOnePage final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  AppendAnswer append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) override {
    return inner().append_with_hook(append, [&](auto& transaction, std::span<const RecordedEvent> events) {
      hook(transaction, events.first(std::min<std::size_t>(events.size(), 64)));
    });
  }
};

/// The hook is called when the append is committed, in a transaction of its own.
class HookAfterwards final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  AppendAnswer append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) override {
    std::vector<RecordedEvent> written;
    AppendAnswer answer = inner().append_with_hook(
        append, [&](driver::ReadModelTransaction&, auto events) { written.assign(events.begin(), events.end()); });
    if (written.empty()) return answer;
    const auto transaction = inner().begin_read_model();
    hook(*transaction, written);
    transaction->commit();
    return answer;
  }
};

class MembersStay final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::int32_t announce_member(const driver::ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override {
    return inner().announce_member(key, member, std::max<std::chrono::milliseconds>(time, std::chrono::hours(1)));
  }
};

/// Takes the last position that was given for settled, and with it what is not there yet.
class SettledTooFar final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  Position settled_position() override { return Position(inner().settled_position().value() + 1); }
};

/// Keeps a snapshot of a version that its stream does not have.
class SnapshotAboveTheStream final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool save_snapshot(const Snapshot& snapshot) override {
    if (inner().save_snapshot(snapshot)) return true;
    const std::lock_guard lock(mutex_);
    above_[snapshot.stream] = snapshot;
    return true;
  }
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    const std::lock_guard lock(mutex_);
    const auto found = above_.find(stream);
    if (found != above_.end() && found->second.version <= at_or_below) return found->second;
    return inner().find_snapshot(stream, at_or_below, schema_version);
  }

 private:
  std::mutex mutex_;
  std::map<StreamKey, Snapshot> above_;
};

class AnySnapshotSchema final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> /*schema_version*/) override {
    return inner().find_snapshot(stream, at_or_below, std::nullopt);
  }
};

class LatestSnapshotAlways final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version /*at_or_below*/,
                                        std::optional<std::int32_t> schema_version) override {
    return inner().find_snapshot(stream, Version(std::numeric_limits<std::int64_t>::max()), schema_version);
  }
};

class KeptSnapshotsDeleted final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::int64_t delete_snapshots(const SnapshotDeletion& which) override {
    SnapshotDeletion more = which;
    more.keep = std::max(which.keep - 1, 0);
    return inner().delete_snapshots(more);
  }
};

class YoungSnapshotsDeleted final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::int64_t delete_snapshots(const SnapshotDeletion& which) override {
    SnapshotDeletion more = which;
    more.before.reset();
    return inner().delete_snapshots(more);
  }
};

// --- Governance

/// Looks whether the form has a schema, and writes a moment later without looking again.
class SchemaGivenTwice final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_schema(const EventSchema& schema) override {
    for (const EventSchema& known : inner().list_event_types(schema.tenant).schemas) {
      if (known.form == schema.form) return false;
    }
    static MeetingPlace meeting_place;
    meeting_place.wait_for_another(schema.form.type);
    inner().add_schema(schema);
    return true;
  }
};

class SchemaReplaced final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_schema(const EventSchema& schema) override {
    inner().remove_schema(schema.tenant, schema.form);
    return inner().add_schema(schema);
  }
};

/// Keeps schemas as JSON, and not as text.
class SchemaRewritten final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_schema(const EventSchema& schema) override {
    EventSchema changed = schema;
    changed.text = nlohmann::json::parse(schema.text).dump();
    return inner().add_schema(changed);
  }
};

/// Ignores trailing blanks, as comparisons of texts do in SQL Server.
class TypesPadded final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_schema(const EventSchema& schema) override {
    EventSchema changed = schema;
    changed.form.type.erase(changed.form.type.find_last_not_of(' ') + 1);
    return inner().add_schema(changed);
  }
  bool add_subject_key(const SubjectKey& key) override {
    SubjectKey changed = key;
    changed.subject.erase(changed.subject.find_last_not_of(' ') + 1);
    return inner().add_subject_key(changed);
  }
};

class UsedSchemaRemoved final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    try {
      return inner().remove_schema(tenant, form);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      return true;
    }
  }
};

/// Counts schemas alone: who keeps rules in memory goes on with the old ones.
class RulesDoNotCount final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::int64_t event_types_revision(const std::string& tenant) override {
    const std::lock_guard lock(mutex_);
    return inner().event_types_revision(tenant) - rules_set_[tenant];
  }
  driver::EventTypes list_event_types(const std::string& tenant) override {
    const std::lock_guard lock(mutex_);
    driver::EventTypes types = inner().list_event_types(tenant);
    types.revision -= rules_set_[tenant];
    return types;
  }
  void set_type_rules(const EventTypeRules& rules) override {
    const std::lock_guard lock(mutex_);
    inner().set_type_rules(rules);
    ++rules_set_[rules.tenant];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::int64_t> rules_set_;
};

class OneRevisionForAll final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::int64_t event_types_revision(const std::string&) override { return revision_; }
  driver::EventTypes list_event_types(const std::string& tenant) override {
    driver::EventTypes types = inner().list_event_types(tenant);
    types.revision = revision_;
    return types;
  }
  bool add_schema(const EventSchema& schema) override {
    const bool added = inner().add_schema(schema);
    if (added) ++revision_;
    return added;
  }
  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    const bool removed = inner().remove_schema(tenant, form);
    if (removed) ++revision_;
    return removed;
  }
  void set_type_rules(const EventTypeRules& rules) override {
    inner().set_type_rules(rules);
    ++revision_;
  }

 private:
  std::atomic<std::int64_t> revision_ = 0;
};

/// Looks keys up by their id alone.
class KeysOfAnyTenant final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_subject_key(const SubjectKey& key) override {
    const bool added = inner().add_subject_key(key);
    const std::lock_guard lock(mutex_);
    if (added) tenants_.insert_or_assign(key.key_id, key.tenant);
    return added;
  }
  std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) override {
    std::vector<SubjectKey> found;
    for (const Uuid& key_id : key_ids) {
      for (SubjectKey& key : inner().find_subject_keys(tenant_of(key_id, tenant), {&key_id, 1})) {
        found.push_back(std::move(key));
      }
    }
    return found;
  }
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override {
    return inner().destroy_subject_key(tenant_of(key_id, tenant), key_id);
  }

 private:
  std::string tenant_of(const Uuid& key_id, const std::string& otherwise) {
    const std::lock_guard lock(mutex_);
    const auto found = tenants_.find(key_id);
    return found == tenants_.end() ? otherwise : found->second;
  }

  std::mutex mutex_;
  std::unordered_map<Uuid, std::string> tenants_;
};

/// Says that a key is destroyed, and keeps its bytes.
class DestroyedInNameOnly final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override {
    return !inner().find_subject_keys(tenant, {&key_id, 1}).empty();
  }
};

class RewrapUnconditional final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                          const WrappedKey& to) override {
    for (;;) {
      const std::vector<SubjectKey> found = inner().find_subject_keys(tenant, {&key_id, 1});
      if (found.empty() || !found[0].wrapped) return inner().rewrap_subject_key(tenant, key_id, from, to);
      if (inner().rewrap_subject_key(tenant, key_id, *found[0].wrapped, to)) return true;
    }
  }
};

/// Orders ids as SQL Server orders UNIQUEIDENTIFIER: by their last bytes first.
class KeysInAnotherOrder final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                            std::size_t limit) override {
    std::vector<SubjectKey> keys = inner().list_subject_keys(tenant, std::nullopt, 1'000'000);
    std::sort(keys.begin(), keys.end(),
              [](const SubjectKey& a, const SubjectKey& b) { return reversed(a.key_id) < reversed(b.key_id); });
    if (after) std::erase_if(keys, [&](const SubjectKey& key) { return reversed(key.key_id) <= reversed(*after); });
    if (keys.size() > limit) keys.resize(limit);
    return keys;
  }

 private:
  static std::string reversed(const Uuid& id) {
    const std::string text = id.to_string();
    return std::string(text.rbegin(), text.rend());
  }
};

/// A subject is forgotten although its key still opens.
class ForgottenTooSoon final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool forget_subject(const std::string& tenant, const Uuid& key_id) override {
    inner().destroy_subject_key(tenant, key_id);
    return inner().forget_subject(tenant, key_id);
  }
};

/// Takes a seal of any number.
class AnySealNumber final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) override {
    LogSeal changed = seal;
    do {
      const std::optional<LogSeal> last = inner().last_seal();
      changed.number = last ? last->number + 1 : 1;
    } while (!inner().add_seal(changed, hashes));
    return true;
  }
};

/// Writes the hashes first, and the seal in a transaction of its own.
class HashesApart final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) override {
    {
      const std::lock_guard lock(mutex_);
      for (const driver::EventHash& hash : hashes) hashes_.emplace(hash.position, hash);
    }
    return inner().add_seal(seal, {});
  }
  std::vector<driver::EventHash> read_hashes(Position after, Position to, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<driver::EventHash> page;
    for (auto at = hashes_.upper_bound(after); at != hashes_.end() && at->first <= to && page.size() < limit; ++at) {
      page.push_back(at->second);
    }
    return page;
  }

 private:
  std::mutex mutex_;
  std::map<Position, driver::EventHash> hashes_;
};

class HashesCutShort final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  bool add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) override {
    return inner().add_seal(seal, hashes.first(std::min<std::size_t>(hashes.size(), 10'000)));
  }
};

/// Names only the tenant of the first key.
class KeysOfOneTenant final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<std::string> list_key_tenants() override {
    std::vector<std::string> tenants = inner().list_key_tenants();
    if (tenants.size() > 1) tenants.resize(1);
    return tenants;
  }
};

class HashesFromInclusive final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<driver::EventHash> read_hashes(Position after, Position to, std::size_t limit) override {
    return inner().read_hashes(Position(after.value() - 1), to, limit);
  }
};

/// Finds hashes by the version alone, as if it were the position.
class HashOfAnotherEvent final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<std::optional<driver::EventHash>> find_hashes(std::span<const driver::EventPlace> places) override {
    std::vector<std::optional<driver::EventHash>> hashes;
    for (const driver::EventPlace& place : places) {
      const Position position(place.version.value());
      const std::vector<driver::EventHash> found = inner().read_hashes(Position(position.value() - 1), position, 1);
      hashes.push_back(found.empty() ? std::nullopt : std::optional(found[0]));
    }
    return hashes;
  }
};

/// Leaves out those that are not there, so that the others come in the wrong places.
class HashesWithoutGaps final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  std::vector<std::optional<driver::EventHash>> find_hashes(std::span<const driver::EventPlace> places) override {
    std::vector<std::optional<driver::EventHash>> hashes = inner().find_hashes(places);
    std::erase(hashes, std::nullopt);
    hashes.resize(places.size());
    return hashes;
  }
};

class NoOpTransaction final : public driver::ReadModelTransaction {
 public:
  void on_commit(std::function<void()>) override {}
  bool move_checkpoint(const Lease&, Position) override { return true; }
  void add_dead_letter(const driver::DeadLetter&) override {}
  bool activate(const driver::ProjectionKey&, std::int32_t, std::int32_t) override { return true; }
  bool is_inline(const driver::ProjectionKey&, std::int32_t) override { return true; }
  void commit() override {}
};

/// Answers "written" and stores nothing.
class NoOp final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  AppendAnswer append_with_hook(const PreparedAppend& append, const driver::AppendHook&) override {
    return std::move(this->append({&append, 1}).front());
  }
  bool save_snapshot(const Snapshot&) override { return true; }
  std::int64_t delete_snapshots(const SnapshotDeletion&) override { return 1; }
  // Not with an answer: whoever follows the log would wait for ever for what it says.
  ProjectionState open_projection(const driver::ProjectionKey&, std::int32_t, Position,
                                  driver::ProjectionKind) override {
    throw Error(ErrorCode::unsupported, "no projections");
  }
  std::int32_t add_generation(const driver::ProjectionKey&) override { return 2; }
  std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                     std::chrono::milliseconds) override {
    return Lease{key, holder, 1, {}};
  }
  bool renew_lease(const Lease&, std::chrono::milliseconds) override { return true; }
  std::int32_t announce_member(const driver::ProjectionKey&, const std::string&, std::chrono::milliseconds) override {
    return 1;
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds) override {
    return std::make_unique<NoOpTransaction>();
  }

  bool add_schema(const EventSchema&) override { return true; }
  bool remove_schema(const std::string&, const EventForm&) override { return true; }
  void set_type_rules(const EventTypeRules&) override {}
  bool add_subject_key(const SubjectKey&) override { return true; }
  bool rewrap_subject_key(const std::string&, const Uuid&, const WrappedKey&, const WrappedKey&) override {
    return true;
  }
  bool destroy_subject_key(const std::string&, const Uuid&) override { return true; }
  bool forget_subject(const std::string&, const Uuid&) override { return true; }
  bool add_seal(const LogSeal&, std::span<const driver::EventHash>) override { return true; }

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    std::vector<AppendAnswer> answers;
    for (const PreparedAppend& append : appends) {
      AppendResult& result = answers.emplace_back().result;
      std::int64_t position = 0;
      for (const PreparedStream& stream : append.streams) {
        const auto count = static_cast<std::int64_t>(stream.events.size());
        const bool writes = count > 0;
        result.streams.push_back({*stream.key, Version(1), Version(count), Position(writes ? position + 1 : 0),
                                  Position(writes ? position + count : 0)});
        position += count;
      }
    }
    return answers;
  }
};

template <class Broken>
std::unique_ptr<driver::Driver> wrap_in(std::unique_ptr<driver::Driver> inner) {
  return std::make_unique<Broken>(std::move(inner));
}

}  // namespace

std::vector<BrokenDriver> broken_drivers() {
  return {
      {"lost_atomicity",
       "a conflict in the second stream leaves the first one written",
       {"append/G4_conflict_in_the_second_stream_writes_nothing",
        "append/G4_conflict_in_the_last_of_many_streams_writes_nothing",
        "append/G4_duplicate_in_the_second_stream_writes_nothing",
        "driver_contract/G4_a_conflict_in_the_second_stream_writes_nothing_of_the_first"},
       wrap_in<LostAtomicity>},
      {"parts_are_visible",
       "the streams of one append are committed one after the other",
       {"concurrency/G4_readers_see_whole_appends"},
       wrap_in<PartsAreVisible>},
      {"version_off_by_one",
       "an expected version one behind the stream's holds",
       {"expected_version/G3_exactly_needs_this_version",
        "expected_version/G3_every_expectation_against_every_version"},
       wrap_in<VersionOffByOne>},
      {"swallowed_conflict",
       "a conflict is answered as success, and nothing is written",
       {"expected_version/G3_no_stream_holds_for_a_missing_stream", "expected_version/G3_exactly_needs_this_version",
        "expected_version/G3_stream_exists_needs_an_event", "expected_version/G3_a_loser_reloads_and_wins",
        "concurrency/G3_one_winner_for_each_version"},
       wrap_in<SwallowedConflict>},
      {"no_stream_checks_nothing",
       "no_stream holds for every stream",
       {"expected_version/G3_no_stream_holds_for_a_missing_stream", "expected_version/G3_exactly_0_is_no_stream",
        "concurrency/G3_one_winner_creates_a_stream"},
       wrap_in<NoStreamChecksNothing>},
      {"conditions_ignored",
       "conditions on other streams are not checked",
       {"expected_version/G3_a_condition_that_does_not_hold", "expected_version/G3_many_conditions_at_once",
        "expected_version/G3_a_condition_of_a_command_counts"},
       wrap_in<ConditionsIgnored>},
      {"check_then_act",
       "the expected version is checked in one step and the events are written in another",
       {"concurrency/G3_one_winner_for_each_version", "concurrency/G3_retried_increments_lose_no_update",
        "concurrency/G3_one_winner_creates_a_stream"},
       wrap_in<CheckThenAct>},
      {"neighbours_fail",
       "an append that fails takes the others of its call with it",
       {"append/G4_append_all_gives_each_its_own_result", "append/G4_a_failed_append_leaves_its_neighbours_alone"},
       wrap_in<NeighboursFail>},
      {"dedup_ignores_payload",
       "a request key that comes back with another content is a repetition",
       {"commands/G5_each_change_is_another_request", "commands/G5_a_reused_key_wins_over_a_conflict"},
       wrap_in<DedupIgnoresPayload>},
      {"replay_appends_again",
       "a repetition gets its outcome and is written a second time",
       {"commands/G5_a_repetition_gets_the_outcome", "event_ids/G6_the_same_append_is_replayed"},
       wrap_in<ReplayAppendsAgain>},
      {"replay_tells_the_current_version",
       "a repetition is told where the stream is now",
       {"commands/G5_a_repetition_after_the_stream_moved_on", "event_ids/G6_a_replay_after_the_stream_moved_on"},
       wrap_in<ReplayTellsTheCurrentVersion>},
      {"request_key_race",
       "the request key is looked up before the append's transaction",
       {"concurrency/G5_one_append_for_one_request_key", "concurrency/G5_one_request_owns_a_request_key"},
       wrap_in<RequestKeyRace>},
      {"empty_commands_forgotten",
       "a command without events is not recorded",
       {"commands/G5_a_command_without_events_is_recorded"},
       wrap_in<EmptyCommandsForgotten>},
      {"event_ids_alone",
       "an append with an event id that is there is a repetition, whatever its content",
       {"event_ids/G6_a_partial_overlap_is_a_duplicate", "event_ids/G6_another_order_is_a_duplicate",
        "event_ids/G6_each_change_is_a_duplicate"},
       wrap_in<EventIdsAlone>},
      {"mutable_history",
       "an append with the id of a stored event changes that event",
       {"immutability/G8_no_append_changes_what_is_there"},
       wrap_in<MutableHistory>},
      {"recorded_at_set_by_caller",
       "recorded_at is what the caller says of occurred_at",
       {"time/G10_recorded_at_is_now_whatever_the_caller_says", "filters/API_each_filter_alone",
        "streams/G2_info_of_a_stream"},
       wrap_in<RecordedAtSetByCaller>},
      {"clock_goes_back",
       "recorded_at decreases within a stream",
       {"time/G10_recorded_at_never_falls_within_a_stream", "time/G10_a_repetition_keeps_the_first_time",
        "verify/API_a_full_store_is_fine"},
       wrap_in<ClockGoesBack>},
      {"microseconds_lost",
       "times are kept in milliseconds",
       {"time/G10_every_moment_is_kept_to_the_microsecond", "fidelity/G11_every_field_comes_back"},
       wrap_in<MicrosecondsLost>},
      {"number_digits_lost",
       "numbers go through a double",
       {"fidelity/G11_every_digit_of_a_number_is_kept", "fidelity/G11_near_numbers_stay_different"},
       wrap_in<NumberDigitsLost>},
      {"attributes_lost",
       "attributes can be searched for and are not given back",
       {"fidelity/G11_every_field_comes_back", "fidelity/G11_attributes_keep_names_and_values"},
       wrap_in<AttributesLost>},
      {"absent_is_empty",
       "what was left out comes back as empty",
       {"fidelity/G11_absent_fields_stay_absent"},
       wrap_in<AbsentIsEmpty>},
      {"case_folded_keys",
       "stream keys compare without case",
       {"keys/G1_look_alike_stream_ids", "keys/G1_look_alike_stream_types"},
       wrap_in<CaseFoldedKeys>},
      {"trailing_spaces_ignored",
       "stream keys compare without trailing spaces",
       {"keys/G1_look_alike_stream_ids", "keys/G1_look_alike_stream_types"},
       wrap_in<TrailingSpacesIgnored>},
      {"tenant_mixed",
       "one tenant's streams are another's",
       {"append/G14_tenants_have_streams_of_their_own", "filters/G14_tenants_are_kept_apart"},
       wrap_in<TenantMixed>},
      {"page_boundary_off_by_one",
       "the row read to see whether more follows overwrites the last one of the page",
       {"read_stream/API_streams_that_end_at_a_page", "read_log/API_logs_that_end_at_a_page"},
       wrap_in<PageBoundaryOffByOne>},
      {"first_page_only",
       "a full page is taken for the last one",
       {"driver_contract/API_a_page_of_a_stream_holds_max_events",
        "driver_contract/API_pages_of_the_log_follow_one_another", "filters/API_few_matches_across_many_pages"},
       wrap_in<FirstPageOnly>},
      {"limit_ignored",
       "pages and lists have no limit",
       {"driver_contract/API_a_page_of_a_stream_holds_max_events"},
       wrap_in<LimitIgnored>},
      {"backwards_is_forwards",
       "the direction of a read does not count",
       {"read_stream/API_from_and_to_are_inclusive", "read_log/API_after_and_before_are_exclusive",
        "read_log/API_a_limit_of_the_log"},
       wrap_in<BackwardsIsForwards>},
      {"filter_ignored",
       "the log's filter does not count",
       {"filters/API_each_filter_alone", "filters/API_each_pair_of_filters", "filters/API_windows_are_half_open"},
       wrap_in<FilterIgnored>},
      {"one_attribute_of_many",
       "of several attributes in a filter only the first counts",
       {"filters/API_many_attributes_at_once"},
       wrap_in<OneAttributeOfMany>},
      {"as_of_ignored",
       "as_of does not count",
       {"read_stream/G10_as_of_a_recorded_time", "read_log/G10_the_log_as_of_a_recorded_time"},
       wrap_in<AsOfIgnored>},
      {"after_is_inclusive",
       "a reader that comes back is given its last event again",
       {"read_log/API_after_and_before_are_exclusive", "read_log/G7_coming_back_after_the_last_position"},
       wrap_in<AfterIsInclusive>},
      {"late_commit_skipped",
       "readers move past an event that is committed after one with a higher position",
       {"ordering/G7_a_polling_reader_sees_everything_once",
        "driver_contract/G7_scanned_to_passes_no_event_of_concurrent_writers"},
       wrap_in<LateCommitSkipped>},
      {"positions_32_bit",
       "positions are read through 32-bit integers",
       {"ordering/G7_positions_beyond_32_bits", "ordering/G7_positions_beyond_53_bits"},
       wrap_in<Positions32Bit>},
      {"lease_given_twice",
       "whether a lease is free is looked up before it is taken",
       {"checkpoints/G13_one_of_many_gets_the_lease"},
       wrap_in<LeaseGivenTwice>},
      {"fence_stays",
       "every lease has the same fence",
       {"checkpoints/G13_every_lease_has_a_higher_fence", "checkpoints/G13_a_zombie_moves_nothing",
        "checkpoints/G13_a_lease_runs_out"},
       wrap_in<FenceStays>},
      {"moved_by_zombies",
       "who lost the lease moves the checkpoint",
       {"checkpoints/G13_a_zombie_moves_nothing", "checkpoints/G13_a_zombie_of_what_was_removed_moves_nothing"},
       wrap_in<BrokenTransactions<MovedByZombies>>},
      {"moved_at_the_end",
       "the fence is looked at before the commit, and another gets the lease meanwhile",
       {"checkpoints/G13_a_take_over_waits_for_who_has_moved"},
       wrap_in<BrokenTransactions<MovedAtTheEnd>>},
      {"moved_from_anywhere",
       "a checkpoint moves whether or not it is where its holder thinks",
       {"checkpoints/G13_a_checkpoint_moves_from_where_its_holder_knows_it"},
       wrap_in<BrokenTransactions<MovedFromAnywhere>>},
      {"start_forgotten",
       "a projection begins at 0 wherever it was to begin",
       {"checkpoints/G13_a_projection_may_begin_later"},
       wrap_in<StartForgotten>},
      {"checkpoint_apart",
       "the checkpoint is committed without the effects",
       {"checkpoints/G13_effects_and_checkpoint_are_one"},
       wrap_in<BrokenTransactions<CheckpointApart>>},
      {"effects_apart",
       "the effects are committed without the checkpoint",
       {"checkpoints/G13_effects_and_checkpoint_are_one", "checkpoints/G13_a_zombie_moves_nothing"},
       wrap_in<BrokenTransactions<EffectsApart>>},
      {"switch_apart",
       "the switch to another generation is committed by itself",
       {"checkpoints/G13_a_switch_is_all_or_nothing"},
       wrap_in<BrokenTransactions<SwitchApart>>},
      {"dead_letters_apart",
       "dead letters outlive the transaction that recorded them",
       {"checkpoints/G13_dead_letters_are_kept_with_the_transaction"},
       wrap_in<BrokenTransactions<DeadLettersApart>>},
      {"names_of_many_uses",
       "a name may be used for a projection, a subscription, a relay and an inline projection at once",
       {"checkpoints/G13_a_name_has_one_use", "projections/G13_one_name_is_not_used_in_two_ways",
        "projections/G13_what_is_applied_inline_is_not_run_as_well"},
       wrap_in<NamesOfManyUses>},
      {"hook_of_one_page",
       "an append's hook is given no more than the first 64 events",
       {"checkpoints/G13_a_hook_sees_all_of_a_large_append"},
       wrap_in<HookOfOnePage>},
      {"hook_afterwards",
       "an append's hook is called when the append is committed",
       {"checkpoints/G4_what_a_hook_throws_leaves_nothing", "checkpoints/G4_nothing_is_seen_before_the_hook_is_done",
        "checkpoints/API_a_hook_does_not_commit"},
       wrap_in<HookAfterwards>},
      {"members_stay",
       "who left still counts as a member",
       {"checkpoints/API_members_come_and_go"},
       wrap_in<MembersStay>},
      {"settled_too_far",
       "positions that have no event yet count as settled",
       {"checkpoints/G7_the_log_is_settled_up_to_its_end"},
       wrap_in<SettledTooFar>},
      {"snapshot_above_the_stream",
       "a snapshot of a version that its stream does not have is found",
       {"snapshots/API_none_is_kept_above_its_stream"},
       wrap_in<SnapshotAboveTheStream>},
      {"any_snapshot_schema",
       "a snapshot of another schema version is found",
       {"snapshots/API_another_schema_version_is_passed_over"},
       wrap_in<AnySnapshotSchema>},
      {"latest_snapshot_always",
       "a snapshot above the version that was asked for is found",
       {"snapshots/API_the_latest_at_or_below_a_version"},
       wrap_in<LatestSnapshotAlways>},
      {"kept_snapshots_deleted",
       "a deletion keeps one fewer than it was told to",
       {"snapshots/API_a_deletion_keeps_the_latest", "snapshots/API_a_deletion_keeps_the_young"},
       wrap_in<KeptSnapshotsDeleted>},
      {"young_snapshots_deleted",
       "a deletion takes snapshots that are younger than it was told",
       {"snapshots/API_a_deletion_keeps_the_young"},
       wrap_in<YoungSnapshotsDeleted>},
      {"schema_given_twice",
       "two that add a schema at the same time are both told that theirs is it",
       {"governance/API_one_schema_wins"},
       wrap_in<SchemaGivenTwice>},
      {"schema_replaced",
       "a second schema of a form takes the place of the first",
       {"governance/API_a_form_has_one_schema"},
       wrap_in<SchemaReplaced>},
      {"schema_rewritten",
       "a schema comes back equal as JSON, and not as its text",
       {"governance/API_a_schema_is_kept", "governance/API_a_schema_comes_back_byte_for_byte"},
       wrap_in<SchemaRewritten>},
      {"types_padded",
       "trailing blanks of types and subjects do not count",
       {"governance/G1_event_types_compare_byte_for_byte", "governance/G1_subjects_compare_byte_for_byte"},
       wrap_in<TypesPadded>},
      {"used_schema_removed",
       "a schema is removed although there are events of it",
       {"governance/API_a_schema_in_use_stays"},
       wrap_in<UsedSchemaRemoved>},
      {"rules_do_not_count",
       "new rules leave the revision as it was",
       {"governance/API_each_change_moves_the_revision"},
       wrap_in<RulesDoNotCount>},
      {"one_revision_for_all",
       "a change of one tenant's types moves every tenant's revision",
       {"governance/G14_a_revision_is_one_tenants"},
       wrap_in<OneRevisionForAll>},
      {"keys_of_any_tenant",
       "a subject's key is found and destroyed by its id, whosever it is",
       {"governance/G14_keys_are_one_tenants"},
       wrap_in<KeysOfAnyTenant>},
      {"destroyed_in_name_only",
       "a destroyed key still has its bytes",
       {"governance/API_a_destroyed_key_has_no_bytes", "governance/API_a_forgotten_subject_may_come_again"},
       wrap_in<DestroyedInNameOnly>},
      {"rewrap_unconditional",
       "a key is wrapped anew whatever it is by now",
       {"governance/API_a_key_is_rewrapped_from_what_it_is", "governance/API_one_rewrap_wins"},
       wrap_in<RewrapUnconditional>},
      {"keys_in_another_order",
       "keys are listed in an order of the database's own",
       {"governance/API_a_list_of_keys_goes_on"},
       wrap_in<KeysInAnotherOrder>},
      {"forgotten_too_soon",
       "forgetting a subject destroys its key",
       {"governance/API_a_forgotten_subject_may_come_again"},
       wrap_in<ForgottenTooSoon>},
      {"any_seal_number",
       "a seal gets the next number, whichever it came with",
       {"governance/API_seals_are_numbered_without_gaps", "governance/API_one_seal_wins"},
       wrap_in<AnySealNumber>},
      {"hashes_apart",
       "the hashes of a seal that is refused are there",
       {"governance/API_seals_are_numbered_without_gaps", "governance/API_one_seal_wins"},
       wrap_in<HashesApart>},
      {"hashes_cut_short",
       "of a large seal only the first 10,000 hashes are kept",
       {"governance/API_hashes_of_many_events"},
       wrap_in<HashesCutShort>},
      {"hashes_from_inclusive",
       "hashes are read from the position that was to be left out",
       {"governance/API_hashes_have_bounds", "governance/API_hashes_of_many_events"},
       wrap_in<HashesFromInclusive>},
      {"hash_of_another_event",
       "a hash is found by the version, whatever the stream",
       {"governance/API_a_hash_is_found_by_its_event"},
       wrap_in<HashOfAnotherEvent>},
      {"keys_of_one_tenant",
       "of the tenants that have keys only one is named",
       {"encryption/API_wrong_missing_and_rotated_master_keys"},
       wrap_in<KeysOfOneTenant>},
      {"hashes_without_gaps",
       "hashes that are not there are left out, and the others take their places",
       {"governance/API_a_hash_is_found_by_its_event"},
       wrap_in<HashesWithoutGaps>},
  };
}

BrokenDriver no_op_driver() {
  return {"no_op", "appends are answered and nothing is stored", {}, wrap_in<NoOp>};
}

}  // namespace stele::testing
