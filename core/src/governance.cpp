#include "stele/governance.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "governed_driver.h"
#include "prepare.h"
#include "retention_time.h"
#include "stele/event_store.h"
#include "stele/limits.h"
#include "stele/schema.h"

namespace stele {

std::string_view to_string(SchemaMode mode) noexcept {
  switch (mode) {
    case SchemaMode::off: return "off";
    case SchemaMode::warn: return "warn";
    case SchemaMode::enforce: return "enforce";
  }
  return "unknown";
}

std::optional<SchemaMode> parse_schema_mode(std::string_view name) noexcept {
  for (const SchemaMode mode : {SchemaMode::off, SchemaMode::warn, SchemaMode::enforce}) {
    if (name == to_string(mode)) return mode;
  }
  return std::nullopt;
}

// --- Event types

bool EventStore::add_schema(const EventSchema& schema) {
  detail::check_tenant(schema.tenant);
  detail::check_event_form(schema.form);
  SchemaValidator::compile(schema.text);
  if (driver().add_schema(schema)) return true;
  for (const EventSchema& there : list_schemas(schema.tenant)) {
    if (there.form == schema.form && there.text == schema.text) return false;
  }
  throw Error(ErrorCode::invalid_argument,
              "schema: " + schema.form.type + " version " + std::to_string(schema.form.event_version) +
                  " has another one already, and a schema never changes: add the next version");
}

std::vector<EventSchema> EventStore::list_schemas(const std::string& tenant) {
  detail::check_tenant(tenant);
  return driver().list_event_types(tenant).schemas;
}

bool EventStore::remove_schema(const std::string& tenant, const EventForm& form) {
  detail::check_tenant(tenant);
  detail::check_event_form(form);
  return driver().remove_schema(tenant, form);
}

void EventStore::set_type_rules(const EventTypeRules& rules) {
  detail::check_tenant(rules.tenant);
  detail::check_event_form({rules.event_type, 1});
  if (rules.schema_mode > SchemaMode::enforce) {
    throw Error(ErrorCode::invalid_argument, "schema_mode: is not one of the listed values");
  }
  if (rules.keep_days && *rules.keep_days < 0) {
    throw Error(ErrorCode::invalid_argument, "keep_days: must not be negative");
  }
  try {
    const JsonPointers places(rules.masked);
  } catch (const Error& error) {
    throw Error(error.code(), "masked: " + error.message());
  }
  driver().set_type_rules(rules);
}

EventTypeRules EventStore::type_rules(const std::string& tenant, const std::string& event_type) {
  for (EventTypeRules& rules : list_type_rules(tenant)) {
    if (rules.event_type == event_type) return std::move(rules);
  }
  EventTypeRules rules;
  rules.tenant = tenant;
  rules.event_type = event_type;
  return rules;
}

std::vector<EventTypeRules> EventStore::list_type_rules(const std::string& tenant) {
  detail::check_tenant(tenant);
  return driver().list_event_types(tenant).rules;
}

// --- Data subjects

namespace {

void check_subject(const std::string& subject) {
  if (subject.empty() || subject.size() > limits::subject_bytes) {
    throw Error(ErrorCode::invalid_argument,
                "subject: must have 1 to " + std::to_string(limits::subject_bytes) + " bytes");
  }
}

/// Tells who follows the log. Once for each key, however often it is tried.
void tell(EventStore& store, const StreamKey& stream, std::int64_t version, std::string_view type, std::string data) {
  NewEvent event;
  event.type = type;
  event.actor = Actor{ActorType::system, "stele"};
  event.data = Json::trusted(std::move(data));
  event.as_stored = true;
  const AppendResult told = store.append(stream, ExpectedVersion::exactly(version), {std::move(event)});
  if (told.status != AppendStatus::conflict) told.or_throw();
}

/// Until the log can be read up to this event of the stream.
void wait_for_log(EventStore& store, const StreamKey& stream, Version version) {
  StreamReadOptions one;
  one.from = version;
  one.limit = 1;
  one.as_stored = true;
  EventReader reader = store.read_stream(stream, one);
  const RecordedEvent* event = reader.next();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (event != nullptr && store.log_end() < event->position) {
    if (std::chrono::steady_clock::now() >= give_up) {
      Error::Details details;
      details.retryable = true;
      throw Error(ErrorCode::busy,
                  "forget: the key is destroyed; another append keeps the log from being looked through",
                  std::move(details));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

/// The events with something that is encrypted under the key.
LogReadOptions of_key(const std::string& tenant, const Uuid& key_id) {
  LogReadOptions options;
  options.filter.tenant = tenant;
  options.filter.attributes = {{std::string(detail::key_attribute), key_id.to_string()}};
  options.as_stored = true;
  return options;
}

/// Of a subject's events, those that a rule of retention keeps for longer.
struct Kept {
  std::int64_t events = 0;
  std::map<std::string, std::int32_t> types;  ///< With their days.
};

Kept kept_events(EventStore& store, const std::string& tenant, const Uuid& key_id) {
  Kept kept;
  std::map<std::string, std::int32_t> days;
  for (const EventTypeRules& rules : store.list_type_rules(tenant)) {
    if (rules.keep_days) days[rules.event_type] = *rules.keep_days;
  }
  if (days.empty()) return kept;
  const Timestamp now = Timestamp::now();
  for (const RecordedEvent& event : store.read_log(of_key(tenant, key_id))) {
    const auto rule = days.find(event.type);
    if (rule == days.end() || detail::is_past_keeping(event, rule->second, now)) continue;
    ++kept.events;
    kept.types.insert(*rule);
  }
  return kept;
}

[[noreturn]] void throw_must_be_kept(const Kept& kept) {
  constexpr std::size_t most_named = 5;
  std::string types;
  std::size_t named = 0;
  for (const auto& [type, days] : kept.types) {
    if (++named > most_named) break;
    types += (named > 1 ? ", " : "") + type + " (" + std::to_string(days) + " days)";
  }
  if (kept.types.size() > most_named) types += ", and more";
  throw Error(ErrorCode::must_be_kept, std::to_string(kept.events) +
                                           " of the subject's events have to be kept for longer, and nobody could read "
                                           "what is encrypted in them: " +
                                           types);
}

/// Returns how many there were.
std::int64_t delete_snapshots_of(EventStore& store, const std::string& tenant, const std::set<StreamKey>& streams) {
  // One call for each stream would take a minute for somebody with an event in each of many. So those that have any
  // are looked for, unless there are few streams.
  constexpr std::size_t few = 20;
  std::int64_t deleted = 0;
  const auto delete_of = [&](const StreamKey& stream) {
    SnapshotDeletion all;
    all.tenant = tenant;
    all.stream_type = stream.type;
    all.stream_id = stream.id;
    all.keep = 0;
    deleted += store.delete_snapshots(all);
  };
  if (streams.size() <= few) {
    for (const StreamKey& stream : streams) delete_of(stream);
    return deleted;
  }
  SnapshotListOptions list;
  list.tenant = tenant;
  list.limit = 1'000;
  StreamKey done;
  while (true) {
    const std::vector<SnapshotInfo> page = store.list_snapshots(list);
    for (const SnapshotInfo& info : page) {
      if (info.stream == done || streams.count(info.stream) == 0) continue;
      delete_of(info.stream);
      done = info.stream;
    }
    if (page.size() < list.limit) return deleted;
    list.after = page.back();
  }
}

std::int64_t rewrap_keys_of(driver::Driver& driver, KeyProvider& keys, const std::string& tenant) {
  constexpr std::size_t page = 1'000;
  std::int64_t rewrapped = 0;
  std::optional<Uuid> after;
  for (;;) {
    const std::vector<SubjectKey> some = driver.list_subject_keys(tenant, after, page);
    for (const SubjectKey& key : some) {
      after = key.key_id;
      if (!key.wrapped) continue;
      const std::optional<WrappedKey> anew = rewrap(keys, *key.wrapped, {tenant, key.subject, key.key_id});
      // Another who does the same, or who forgets the subject, was faster otherwise.
      if (anew && driver.rewrap_subject_key(tenant, key.key_id, *key.wrapped, *anew)) ++rewrapped;
    }
    if (some.size() < page) return rewrapped;
  }
}

}  // namespace

ForgetResult EventStore::forget(const std::string& tenant, const std::string& subject, const ForgetOptions& options) {
  detail::check_tenant(tenant);
  check_subject(subject);
  ForgetResult result;
  const std::optional<SubjectKey> key = driver().find_subject_key(tenant, subject);
  if (!key) return result;
  result.found = true;
  result.key_id = key->key_id;
  Kept kept;
  if (key->wrapped) {  // Not destroyed yet.
    kept = kept_events(*this, tenant, key->key_id);
    if (kept.events > 0 && !options.in_spite_of_retention) throw_must_be_kept(kept);
    // Who has no right to destroy keys learns it before anything is closed: the same in its own place changes nothing.
    driver().rewrap_subject_key(tenant, key->key_id, *key->wrapped, *key->wrapped);
  }

  const StreamKey notices(tenant, std::string(subject_stream_type), key->key_id.to_string());
  const std::string id = R"("key_id":")" + key->key_id.to_string() + "\"";
  // From here on nothing is committed under this key any more: every append under it asks for this stream to be
  // missing. What follows is done again by who repeats the call.
  tell(*this, notices, 0, subject_closed_type, "{" + id + "}");
  driver().destroy_subject_key(tenant, key->key_id);
  wait_for_log(*this, notices, Version(1));

  std::set<StreamKey> streams;
  for (const RecordedEvent& event : read_log(of_key(tenant, key->key_id))) {
    ++result.events;
    streams.insert(event.stream);
  }
  result.streams = static_cast<std::int64_t>(streams.size());
  // Whoever knew the key may have loaded an aggregate, and save what came of it.
  if (!streams.empty()) std::this_thread::sleep_for(detail::KeyRing::fresh_for + std::chrono::milliseconds(50));
  result.snapshots = delete_snapshots_of(*this, tenant, streams);
  tell(*this, notices, 1, subject_forgotten_type,
       R"({"events":)" + std::to_string(result.events) + "," + id +
           (kept.events > 0 ? R"(,"must_be_kept":)" + std::to_string(kept.events) : std::string()) + R"(,"streams":)" +
           std::to_string(result.streams) + "}");
  // Who takes longer from loading to saving sees this notice afterwards, and takes the snapshot back (last_forgotten);
  // who has saved before it could be seen has left the snapshot to this.
  wait_for_log(*this, notices, Version(2));
  result.snapshots += delete_snapshots_of(*this, tenant, streams);
  driver().forget_subject(tenant, key->key_id);
  return result;
}

std::int64_t EventStore::rewrap_keys(const std::optional<std::string>& tenant) {
  if (tenant) detail::check_tenant(*tenant);
  if (keys() == nullptr) throw Error(ErrorCode::unsupported, "keys: the store was opened without a key provider");
  std::int64_t rewrapped = 0;
  for (const std::string& each : tenant ? std::vector<std::string>{*tenant} : driver().list_key_tenants()) {
    rewrapped += rewrap_keys_of(driver(), *keys(), each);
  }
  return rewrapped;
}

std::vector<SubjectKey> EventStore::list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                      std::size_t limit) {
  detail::check_tenant(tenant);
  detail::check_page_size(limit);
  return driver().list_subject_keys(tenant, after, limit);
}

}  // namespace stele
