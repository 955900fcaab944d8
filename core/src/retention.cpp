#include "stele/retention.h"

#include <algorithm>
#include <map>

#include "prepare.h"
#include "retention_time.h"

namespace stele {
namespace {

constexpr std::size_t streams_per_page = 1'000;

class Report {
 public:
  Report(EventStore& store, const std::string& tenant, Timestamp now) : store_(store) {
    report_.tenant = tenant;
    report_.at = now;
    for (const EventTypeRules& rules : store.list_type_rules(tenant)) {
      if (rules.keep_days) type_of(rules.event_type).keep_days = rules.keep_days;
    }
  }

  RetentionReport run(const std::function<void(const StreamInfo&)>& on_past) {
    StreamListOptions list;
    list.tenant = report_.tenant;
    list.limit = streams_per_page;
    for (;;) {
      const std::vector<StreamInfo> page = store_.list_streams(list);
      for (const StreamInfo& info : page) {
        ++report_.streams;
        if (!count(info)) continue;
        ++report_.streams_past;
        if (on_past) on_past(info);
      }
      if (page.size() < list.limit) break;
      list.after = page.back().stream;
    }
    for (auto& [name, type] : types_) report_.types.push_back(std::move(type));
    return std::move(report_);
  }

 private:
  TypeRetention& type_of(const std::string& name) {
    TypeRetention& type = types_[name];
    if (type.event_type.empty()) type.event_type = name;
    return type;
  }

  /// Whether all of its events are past their time.
  bool count(const StreamInfo& info) {
    bool all_past = true;
    StreamReadOptions as_stored;
    as_stored.as_stored = true;
    for (const RecordedEvent& event : store_.read_stream(info.stream, as_stored)) {
      TypeRetention& type = type_of(event.type);
      ++type.events;
      type.oldest = std::min(type.oldest.value_or(event.recorded_at), event.recorded_at);
      const bool past = type.keep_days && detail::is_past_keeping(event, *type.keep_days, report_.at);
      if (past) ++type.past;
      if (type.keep_days && !past) ++type.must_be_kept;
      all_past = all_past && past;
    }
    return all_past;
  }

  EventStore& store_;
  RetentionReport report_;
  std::map<std::string, TypeRetention> types_;
};

}  // namespace

RetentionReport retention_report(EventStore& store, const std::string& tenant, Timestamp now,
                                 const std::function<void(const StreamInfo&)>& on_past) {
  detail::check_tenant(tenant);
  return Report(store, tenant, now).run(on_past);
}

}  // namespace stele
