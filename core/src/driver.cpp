#include "stele/driver/driver.h"

#include <set>
#include <thread>

#include "sha256.h"

namespace stele::driver {

namespace {

class Sleeper final : public AppendListener {
 public:
  void wait(std::chrono::milliseconds timeout) noexcept override { std::this_thread::sleep_for(timeout); }
};

}  // namespace

Driver::~Driver() = default;
AppendListener::~AppendListener() = default;
MigrationStore::~MigrationStore() = default;

std::unique_ptr<AppendListener> Driver::listen() {
  return std::make_unique<Sleeper>();
}

void Driver::grant_roles(const RoleNames& /*names*/) {
  Error::Details details;
  details.backend = std::string(name());
  throw Error(ErrorCode::unsupported, "this backend has no roles", std::move(details));
}

RecordedEvent& EventPage::add() {
  if (size_ == events_.size()) return events_.emplace_back(), events_[size_++];
  RecordedEvent& event = events_[size_++];
  // Strings keep their memory; what a driver might leave alone is reset.
  event.event_version = 1;
  event.valid_from.reset();
  event.valid_to.reset();
  event.actor.reset();
  event.source.reset();
  event.channel.reset();
  event.idempotency_key.reset();
  event.causation_id.reset();
  event.correlation_id.reset();
  event.redaction_level = RedactionLevel::none;
  event.contains_secrets = false;
  event.metadata.reset();
  event.policy_context.reset();
  event.model_context.reset();
  event.display.reset();
  event.attributes.clear();
  event.command.reset();
  return event;
}

std::string checksum(std::string_view script) {
  if (script.starts_with("\xEF\xBB\xBF")) script.remove_prefix(3);
  std::string text;
  text.reserve(script.size());
  for (std::size_t i = 0; i < script.size(); ++i) {
    if (script[i] == '\r' && i + 1 < script.size() && script[i + 1] == '\n') continue;
    text.push_back(script[i]);
  }
  return detail::to_hex(detail::sha256(text));
}

int current_migration(std::span<const MigrationRecord> history) noexcept {
  std::set<int> applied;
  for (const MigrationRecord& record : history) {
    if (record.up) {
      applied.insert(record.number);
    } else {
      applied.erase(record.number);
    }
  }
  return applied.empty() ? 0 : *applied.rbegin();
}

}  // namespace stele::driver
