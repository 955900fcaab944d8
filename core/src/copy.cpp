#include "stele/copy.h"

#include <algorithm>
#include <map>
#include <set>

#include "stele/chain.h"
#include "stele/driver/driver.h"
#include "stele/limits.h"

namespace stele {
namespace {

constexpr std::size_t batch_events = 1'000;
constexpr std::size_t batch_bytes = std::size_t{8} << 20;
constexpr std::size_t page_size = 1'000;
constexpr std::size_t most_commands = 10'000;  // Of one stream, as list_commands() gives them.

void check(EventStore& store, std::string_view which) {
  if (store.clearance() != Clearance::secrets) {
    throw Error(ErrorCode::permission_denied, std::string(which) +
                                                  ": all that is stored is copied, and this store's clearance is " +
                                                  std::string(to_string(store.clearance())));
  }
  if (store.keys()) {
    throw Error(ErrorCode::invalid_argument,
                std::string(which) + ": what is encrypted is copied as it is; open the store without keys");
  }
}

std::size_t bytes_of(const RecordedEvent& event) {
  std::size_t bytes = event.data.text().size();
  for (const std::optional<Json>* json :
       {&event.metadata, &event.policy_context, &event.model_context, &event.display}) {
    if (*json) bytes += (*json)->text().size();
  }
  return bytes;
}

/// Tries something that not every backend has.
template <class Call>
void if_supported(std::vector<std::string>& notes, const std::string& what, Call call) {
  try {
    call();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    notes.push_back(what + " were not copied: " + error.message());
  }
}

class Copying {
 public:
  Copying(EventStore& from, EventStore& to, const CopyOptions& options) : from_(from), to_(to), options_(options) {}

  CopyResult run() {
    std::int64_t commands = 0;
    try {
      commands = from_.tenant() ? 0 : from_.stats().commands;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
    }
    copy_log();
    copy_commands_without_events(commands);
    std::vector<std::string> tenants = from_.driver().list_tenants();
    if_supported(result_.notes, "schemas and rules", [&] {
      for (const std::string& tenant : tenants) copy_event_types(tenant);
    });
    if_supported(result_.notes, "subjects' keys", [&] {
      for (const std::string& tenant : tenants) copy_keys(tenant);
    });
    return std::move(result_);
  }

 private:
  /// One append of the copy.
  struct Group {
    AppendRequest request;
    std::vector<RecordedEvent> events;  ///< As they are in the source, in the request's order.
  };

  // --- The log

  /// The log as it is when the copy begins: a busy writer cannot keep it from ending.
  void copy_log() {
    LogReadOptions backwards;
    backwards.direction = Direction::backwards;
    backwards.limit = 1;
    EventReader end = from_.read_log(backwards);
    const RecordedEvent* const last = end.next();
    if (last == nullptr) return;
    EventReader end_of_target = to_.read_log(backwards);
    target_was_empty_ = end_of_target.next() == nullptr;
    last_ = last->position;
    LogReadOptions all;
    all.before = Position(last_.value() + 1);
    all.as_stored = true;
    reader_.emplace(from_.read_log(all));
    next_ = reader_->next();
    while (next_ != nullptr) {
      if (taken_.erase(next_->position) > 0) {
        next_ = reader_->next();
      } else {
        take_group();
      }
    }
    flush();
  }

  void take_group() {
    std::vector<RecordedEvent> events{*next_};
    std::size_t bytes = bytes_of(*next_);
    next_ = reader_->next();
    const std::optional<CommandKey> command = events.front().command;
    while (command && next_ != nullptr && next_->command == command && events.size() < limits::events_per_append &&
           bytes + bytes_of(*next_) <= limits::append_bytes) {
      events.push_back(*next_);
      bytes += bytes_of(*next_);
      next_ = reader_->next();
    }
    Group group;
    if (!command) {
      group = group_of(std::move(events));
    } else if (const std::optional<CommandRecord> record = find_command(*command)) {
      group = group_of(*record, std::move(events));
    } else {
      group = group_of(std::move(events));
      // The source has events and no commands: only their keys are known.
      group.request.command.emplace();
      group.request.command->key = *command;
      group.request.command->type = "copy";
    }
    waiting_events_ += group.events.size();
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(group));
    if (waiting_events_ >= batch_events || waiting_bytes_ >= batch_bytes) flush();
  }

  std::optional<CommandRecord> find_command(const CommandKey& key) {
    if (!has_commands_) return std::nullopt;
    try {
      return from_.find_command(key);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
      has_commands_ = false;
      result_.notes.push_back("commands were copied by their keys alone: " + error.message());
      return std::nullopt;
    }
  }

  static NewEvent copy_of(const RecordedEvent& event) {
    NewEvent copy;
    static_cast<EventFields&>(copy) = event;
    copy.event_id = event.event_id;
    copy.occurred_at = event.occurred_at;
    copy.as_stored = true;
    return copy;
  }

  static StreamAppend& append_to(AppendRequest& request, const StreamKey& stream, Version before) {
    std::vector<StreamAppend>& streams = request.streams;
    const auto found = std::find_if(streams.begin(), streams.end(),
                                    [&](const StreamAppend& append) { return append.stream == stream; });
    if (found != streams.end()) return *found;
    return streams.emplace_back(StreamAppend{stream, ExpectedVersion::exactly(before), {}});
  }

  static Group group_of(std::vector<RecordedEvent> events) {
    Group group;
    for (const RecordedEvent& event : events) {
      append_to(group.request, event.stream, Version(event.version.value() - 1)).events.push_back(copy_of(event));
    }
    group.events = std::move(events);
    return group;
  }

  static Command command_of(const CommandRecord& record) {
    Command command;
    command.key = record.key;
    command.type = record.type;
    command.command_id = record.command_id;
    command.stream = record.stream;
    command.actor = record.actor;
    command.channel = record.channel;
    command.data = record.data;
    return command;
  }

  /// All of the command's events, as its outcome names them. Where appends run side by side, theirs may lie between
  /// them in the log; a stream's own order is safe, for it was locked before the first of them took its position.
  Group group_of(const CommandRecord& record, std::vector<RecordedEvent> found) {
    std::size_t wanted = 0;
    for (const StreamOutcome& outcome : record.outcome) {
      if (outcome.last_position == Position()) continue;
      wanted += static_cast<std::size_t>(outcome.last_version.value() - outcome.first_version.value() + 1);
    }
    Group group;
    if (wanted == found.size()) {
      group = group_of(std::move(found));
    } else {
      std::set<Position> known;
      for (const RecordedEvent& event : found) known.insert(event.position);
      std::vector<RecordedEvent> events;
      for (const StreamOutcome& outcome : record.outcome) {
        if (outcome.last_position == Position()) continue;
        StreamReadOptions range;
        range.from = outcome.first_version;
        range.to = outcome.last_version;
        range.as_stored = true;
        for (const RecordedEvent& event : from_.read_stream(outcome.stream, range)) {
          if (!known.contains(event.position)) taken_.insert(event.position);
          events.push_back(event);
        }
      }
      group = group_of(std::move(events));
    }
    // A stream that was only checked: where it stood is in the outcome.
    for (const StreamOutcome& outcome : record.outcome) {
      if (outcome.last_position == Position()) {
        group.request.streams.push_back({outcome.stream, ExpectedVersion::any(), {}});
      }
    }
    group.request.command = command_of(record);
    return group;
  }

  /// Each append of a batch stands for itself: behind one that is in conflict, the next version of the stream would
  /// find what it expects. So what the target has of the batch's streams has to be what the source has.
  void check_target() {
    std::map<StreamKey, std::vector<const RecordedEvent*>> streams;
    for (const Group& group : waiting_) {
      for (const RecordedEvent& event : group.events) streams[event.stream].push_back(&event);
    }
    for (const auto& [stream, events] : streams) {
      const Version there = to_.stream_version(stream);
      const auto last = std::find_if(events.rbegin(), events.rend(),
                                     [&](const RecordedEvent* event) { return event->version <= there; });
      if (last == events.rend()) continue;
      const std::optional<RecordedEvent> found = to_.find_event((*last)->event_id);
      if (found && found->stream == stream && found->version == (*last)->version) continue;
      throw Error(ErrorCode::conflict, "position " + std::to_string((*last)->position.value()) + " of the source, " +
                                           stream.to_string() + " version " + std::to_string((*last)->version.value()) +
                                           ": the target has another event there");
    }
  }

  void flush() {
    if (!target_was_empty_) check_target();
    std::vector<AppendRequest> requests;
    for (Group& group : waiting_) requests.push_back(std::move(group.request));
    const std::vector<AppendResult> results = to_.append_all(requests);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto count = static_cast<std::int64_t>(waiting_[i].events.size());
      const bool has_command = requests[i].command.has_value();
      if (results[i].status == AppendStatus::appended) {
        result_.events += count;
        result_.commands += has_command;
      } else if (results[i].replayed() ||
                 (results[i].status == AppendStatus::request_id_reused && are_there(waiting_[i].events))) {
        result_.events_there += count;
        result_.commands_there += has_command;
      } else {
        fail(results[i], waiting_[i].events.front());
      }
    }
    done_ += static_cast<std::int64_t>(waiting_events_);
    if (options_.on_progress && !waiting_.empty()) {
      options_.on_progress(done_, waiting_.back().events.back().position.value(), last_.value());
    }
    waiting_.clear();
    waiting_events_ = waiting_bytes_ = 0;
  }

  /// Under a command that came there in another way, with another fingerprint: by an import, or the target is the
  /// source.
  bool are_there(const std::vector<RecordedEvent>& events) {
    return std::all_of(events.begin(), events.end(), [&](const RecordedEvent& event) {
      const std::optional<RecordedEvent> there = to_.find_event(event.event_id);
      return there && there->version == event.version && content_text(*there) == content_text(event);
    });
  }

  [[noreturn]] static void fail(const AppendResult& result, const RecordedEvent& first) {
    try {
      result.or_throw();
    } catch (const Error& error) {
      throw Error(error.code(), "position " + std::to_string(first.position.value()) + " of the source, " +
                                    first.stream.to_string() +
                                    ": the target has something else there: " + error.message());
    }
    throw Error(ErrorCode::internal, "an append that failed has no error");
  }

  // --- Commands without events

  /// Those about a stream that has events: others, nobody can list.
  void copy_commands_without_events(std::int64_t in_source) {
    const auto missing = [&] { return in_source - result_.commands - result_.commands_there; };
    if (missing() <= 0) return;
    for (const std::string& tenant : from_.driver().list_tenants()) {
      StreamListOptions list;
      list.tenant = tenant;
      list.limit = page_size;
      for (bool more = true; more;) {
        const std::vector<StreamInfo> page = from_.list_streams(list);
        for (const StreamInfo& info : page) copy_commands_without_events(info.stream);
        more = page.size() == list.limit;
        if (more) list.after = page.back().stream;
      }
    }
    if (missing() > 0) {
      result_.notes.push_back(std::to_string(missing()) +
                              " commands without events were not copied: they are about no stream that has events");
    }
  }

  void copy_commands_without_events(const StreamKey& stream) {
    const std::vector<CommandRecord> commands = from_.list_commands(stream, most_commands);
    for (auto command = commands.rbegin(); command != commands.rend(); ++command) {  // The earliest first.
      const std::vector<StreamOutcome>& outcome = command->outcome;
      if (std::any_of(outcome.begin(), outcome.end(),
                      [](const StreamOutcome& each) { return each.last_position != Position(); })) {
        continue;
      }
      AppendRequest request;
      for (const StreamOutcome& each : outcome) {
        request.streams.push_back({each.stream, ExpectedVersion::any(), {}});
      }
      request.command = command_of(*command);
      const AppendResult result = to_.append(request);
      if (result.status == AppendStatus::appended) {
        ++result_.commands;
      } else if (result.replayed() || to_.is_command_processed(command->command_id)) {
        ++result_.commands_there;
      } else {
        result.or_throw();
      }
    }
  }

  // --- Governance

  void copy_event_types(const std::string& tenant) {
    const driver::EventTypes types = from_.driver().list_event_types(tenant);
    if (types.schemas.empty() && types.rules.empty()) return;
    for (const EventSchema& schema : types.schemas) result_.schemas += to_.add_schema(schema);
    const std::vector<EventTypeRules> there = to_.list_type_rules(tenant);
    for (const EventTypeRules& rules : types.rules) {
      if (std::find(there.begin(), there.end(), rules) != there.end()) continue;
      to_.set_type_rules(rules);
      ++result_.rules;
    }
  }

  void copy_keys(const std::string& tenant) {
    std::optional<Uuid> after;
    for (;;) {
      const std::vector<SubjectKey> page = from_.list_subject_keys(tenant, after, page_size);
      if (page.empty()) return;
      after = page.back().key_id;
      std::vector<Uuid> ids;
      for (const SubjectKey& key : page) ids.push_back(key.key_id);
      const std::vector<SubjectKey> there = to_.driver().find_subject_keys(tenant, ids);
      for (const SubjectKey& key : page) {
        const auto found =
            std::find_if(there.begin(), there.end(), [&](const SubjectKey& each) { return each.key_id == key.key_id; });
        copy_key(key, found == there.end() ? nullptr : &*found);
      }
      if (page.size() < page_size) return;
    }
  }

  void copy_key(const SubjectKey& key, const SubjectKey* there) {
    driver::Driver& target = to_.driver();
    if (key.wrapped) {
      if (there != nullptr) return;
      if (target.add_subject_key(key)) {
        ++result_.keys;
      } else {
        result_.notes.push_back("key " + key.key_id.to_string() +
                                " was not copied: its subject has another key in the target");
      }
      return;
    }
    // Readers of the target are to be told that the key is gone, and not that it is missing. None can be added without
    // a wrapped key and a subject; both go at once.
    if (there == nullptr) {
      SubjectKey placeholder = key;
      placeholder.subject = key.key_id.to_string();
      placeholder.wrapped = WrappedKey{"destroyed", "-"};
      placeholder.destroyed_at.reset();
      target.add_subject_key(placeholder);
    }
    if (target.destroy_subject_key(key.tenant, key.key_id)) ++result_.keys_destroyed;
    if (key.subject.empty() || there == nullptr) target.forget_subject(key.tenant, key.key_id);
  }

  EventStore& from_;
  EventStore& to_;
  const CopyOptions& options_;
  CopyResult result_;
  bool has_commands_ = true;
  bool target_was_empty_ = false;
  std::optional<EventReader> reader_;
  const RecordedEvent* next_ = nullptr;
  Position last_;
  std::set<Position> taken_;  // Ahead of the reader, with a command that it met before.
  std::vector<Group> waiting_;
  std::size_t waiting_events_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::int64_t done_ = 0;
};

}  // namespace

CopyResult copy_store(EventStore& from, EventStore& to, const CopyOptions& options) {
  check(from, "the source");
  check(to, "the target");
  return Copying(from, to, options).run();
}

}  // namespace stele
