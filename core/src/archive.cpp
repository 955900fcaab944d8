#include "stele/archive.h"

#include <algorithm>

#include "archive_reader.h"
#include "gzip_lines.h"
#include "prepare.h"
#include "sha256.h"
#include "stele/driver/driver.h"
#include "stele/event_json.h"

namespace stele {
namespace {

constexpr std::int64_t progress_interval = 1'000;
constexpr std::size_t streams_per_page = 1'000;

void check_sees_all(const EventStore& store) {
  if (store.clearance() == Clearance::secrets) return;
  throw Error(ErrorCode::permission_denied, "archives are of all that is stored, and this store's clearance is " +
                                                std::string(to_string(store.clearance())));
}

std::vector<std::string> tenants_of(EventStore& store, const ArchiveOptions& options) {
  std::vector<std::string> tenants = options.tenants;
  for (const std::string& tenant : tenants) detail::check_tenant(tenant);
  if (tenants.empty()) tenants = store.driver().list_tenants();
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
  return tenants;
}

class Writing {
 public:
  Writing(EventStore& store, const std::string& path, const ArchiveOptions& options)
      : store_(store), options_(options), file_(path) {
    info_.made_at = Timestamp::now();
    info_.before = options.before;
    info_.closing_types = options.closing_types;
    info_.tenants = tenants_of(store, options);
  }

  ArchiveInfo run() {
    add(detail::archive_header_line(info_));
    for (const std::string& tenant : info_.tenants) write_tenant(tenant);
    info_.sha256 = digest_.finish();
    file_.write_line(detail::archive_end_line(info_));
    file_.commit();
    return std::move(info_);
  }

 private:
  void add(const std::string& line) {
    digest_.add(line);
    digest_.add("\n");
    file_.write_line(line);
  }

  void write_tenant(const std::string& tenant) {
    StreamListOptions list;
    list.tenant = tenant;
    list.limit = streams_per_page;
    for (;;) {
      const std::vector<StreamInfo> page = store_.list_streams(list);
      for (const StreamInfo& info : page) {
        if (is_closed(info)) write_stream(info);
      }
      if (page.size() < list.limit) return;
      list.after = page.back().stream;
    }
  }

  bool is_closed(const StreamInfo& info) {
    if (info.last_recorded_at >= options_.before) return false;
    const std::vector<std::string>& closing = options_.closing_types;
    if (closing.empty()) return true;
    StreamReadOptions last;
    last.from = info.version;
    last.to = info.version;
    last.as_stored = true;
    EventReader reader = store_.read_stream(info.stream, last);
    const RecordedEvent* const event = reader.next();
    return event != nullptr && std::find(closing.begin(), closing.end(), event->type) != closing.end();
  }

  void write_stream(const StreamInfo& info) {
    StreamReadOptions whole;
    whole.to = info.version;  // What was appended since was not judged.
    whole.as_stored = true;
    Version version;
    for (const RecordedEvent& event : store_.read_stream(info.stream, whole)) {
      if (event.version.value() != version.value() + 1) break;
      version = event.version;
      add(to_json_line(event));
      if (++info_.events % progress_interval == 0 && options_.on_progress) options_.on_progress(info_.events);
    }
    if (version != info.version) {
      throw Error(ErrorCode::corrupt, info.stream.to_string() + ": version " + std::to_string(version.value() + 1) +
                                          " is missing in the store");
    }
    ++info_.streams;
  }

  EventStore& store_;
  const ArchiveOptions& options_;
  detail::GzipLineWriter file_;
  detail::Sha256 digest_;
  ArchiveInfo info_;
};

// --- Comparing

bool same(const std::optional<Json>& a, const std::optional<Json>& b) {
  return a.has_value() == b.has_value() && (!a || json_equal(*a, *b));
}

/// The names of the fields that differ, in the order of a line.
std::string different_fields(const RecordedEvent& a, const RecordedEvent& b) {
  std::string names;
  const auto check = [&](std::string_view name, bool equal) {
    if (!equal) names += (names.empty() ? "" : ", ") + std::string(name);
  };
  check("global_position", a.position == b.position);
  check("stream_version", a.version == b.version);
  check("recorded_at", a.recorded_at == b.recorded_at);
  check("event_id", a.event_id == b.event_id);
  check("event_type", a.type == b.type);
  check("event_version", a.event_version == b.event_version);
  check("occurred_at", a.occurred_at == b.occurred_at);
  check("valid_from", a.valid_from == b.valid_from);
  check("valid_to", a.valid_to == b.valid_to);
  check("actor", a.actor == b.actor);
  check("source", a.source == b.source);
  check("channel", a.channel == b.channel);
  check("request_id", a.command == b.command);
  check("idempotency_key", a.idempotency_key == b.idempotency_key);
  check("causation_id", a.causation_id == b.causation_id);
  check("correlation_id", a.correlation_id == b.correlation_id);
  check("redaction_level", a.redaction_level == b.redaction_level);
  check("contains_secrets", a.contains_secrets == b.contains_secrets);
  check("data", json_equal(a.data, b.data));
  check("metadata", same(a.metadata, b.metadata));
  check("policy_context", same(a.policy_context, b.policy_context));
  check("model_context", same(a.model_context, b.model_context));
  check("display", same(a.display, b.display));
  check("attributes", a.attributes == b.attributes);
  return names;
}

class Comparing {
 public:
  Comparing(EventStore& store, const std::string& path, const ArchiveCompareOptions& options)
      : store_(store), archive_(path), options_(options) {}

  ArchiveComparison run() {
    while (const std::optional<RecordedEvent> event = archive_.next()) {
      compare(*event);
      if (archive_.info().events % progress_interval == 0 && options_.on_progress) {
        options_.on_progress(archive_.info().events);
      }
    }
    result_.archive = archive_.info();
    return std::move(result_);
  }

 private:
  // The archive has stream behind stream: one reader goes along with it.
  void compare(const RecordedEvent& event) {
    if (event.version == Version(1)) {
      StreamReadOptions whole;
      whole.as_stored = true;
      stored_.emplace(store_.read_stream(event.stream, whole));
      next_ = stored_->next();
    }
    if (next_ == nullptr || next_->version > event.version) {
      add(event, "is not in the store");
      return;
    }
    // Equal lines are equal events; others may still differ in the spelling of JSON alone.
    if (to_json_line(event) != to_json_line(*next_)) {
      const std::string fields = different_fields(event, *next_);
      if (!fields.empty()) add(event, "differs in " + fields);
    }
    next_ = stored_->next();
  }

  void add(const RecordedEvent& event, std::string what) {
    ++result_.different;
    if (result_.differences.size() >= options_.max_differences) return;
    result_.differences.push_back({archive_.line(), event.stream, event.version, event.event_id, std::move(what)});
  }

  EventStore& store_;
  detail::ArchiveReader archive_;
  const ArchiveCompareOptions& options_;
  ArchiveComparison result_;
  std::optional<EventReader> stored_;  ///< Of the current stream.
  const RecordedEvent* next_ = nullptr;
};

}  // namespace

ArchiveInfo write_archive(EventStore& store, const std::string& path, const ArchiveOptions& options) {
  check_sees_all(store);
  for (const std::string& type : options.closing_types) detail::check_event_form({type, 1});
  return Writing(store, path, options).run();
}

ArchiveInfo verify_archive(const std::string& path) {
  detail::ArchiveReader archive(path);
  while (archive.next()) {
  }
  return archive.info();
}

ArchiveComparison compare_archive(EventStore& store, const std::string& path, const ArchiveCompareOptions& options) {
  check_sees_all(store);
  return Comparing(store, path, options).run();
}

}  // namespace stele
