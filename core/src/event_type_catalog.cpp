#include "event_type_catalog.h"

#include <utility>

namespace stele::detail {
namespace {

/// More tenants than this are asked for anew now and then, instead of being kept for ever.
constexpr std::size_t most_tenants = 10'000;

std::shared_ptr<const KnownEventTypes> compile(const driver::EventTypes& stored) {
  auto known = std::make_shared<KnownEventTypes>();
  known->revision = stored.revision;
  known->any_schema = !stored.schemas.empty();
  for (const EventTypeRules& rules : stored.rules) {
    KnownEventType& type = known->types[rules.event_type];
    type.mode = rules.schema_mode;
    type.redaction.data = JsonPointers(rules.masked);
    type.redaction.contexts = rules.mask_contexts;
  }
  for (const EventSchema& schema : stored.schemas) {
    known->types[schema.form.type].schemas.emplace(schema.form.event_version, SchemaValidator::compile(schema.text));
  }
  return known;
}

}  // namespace

std::shared_ptr<const KnownEventTypes> EventTypeCatalog::get(driver::Driver& driver, std::string_view tenant) {
  const Clock::time_point now = Clock::now();
  std::shared_ptr<const KnownEventTypes> known;
  std::int64_t forgotten = 0;
  {
    const std::lock_guard lock(mutex_);
    forgotten = forgotten_;
    const auto found = tenants_.find(tenant);
    if (found != tenants_.end()) {
      if (now - found->second.asked < fresh_for) return found->second.types;
      known = found->second.types;
      found->second.asked = now;  // The others go on with what is known while this one asks.
    }
  }
  const std::string name(tenant);
  try {
    const std::int64_t revision = driver.event_types_revision(name);
    if (!known || known->revision != revision) {
      // Nobody has ever said anything of most tenants.
      known = revision == 0 ? std::make_shared<KnownEventTypes>() : compile(driver.list_event_types(name));
    }
  } catch (...) {
    forget(tenant);
    throw;
  }
  const std::lock_guard lock(mutex_);
  if (forgotten != forgotten_) return known;  // What was read may be older than what somebody here has changed since.
  if (tenants_.size() >= most_tenants) tenants_.clear();
  tenants_[name] = {known, now};
  return known;
}

void EventTypeCatalog::forget(std::string_view tenant) {
  const std::lock_guard lock(mutex_);
  ++forgotten_;
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end()) tenants_.erase(found);
}

}  // namespace stele::detail
