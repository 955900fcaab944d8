#include "memory_governance.h"

#include <algorithm>
#include <set>

#include "stele/error.h"

namespace stele::detail {

using driver::EventHash;
using driver::EventTypes;

// --- Event types

void MemoryGovernance::touch(Tenant& tenant, const std::string& name, const std::string& type) {
  ++tenant.revision;
  EventTypeRules& rules = tenant.rules[type];
  rules.tenant = name;
  rules.event_type = type;
}

std::int64_t MemoryGovernance::revision(const std::string& tenant) const {
  const Lock lock(mutex_);
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? 0 : found->second.revision;
}

EventTypes MemoryGovernance::event_types(const std::string& tenant) const {
  const Lock lock(mutex_);
  EventTypes types;
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return types;
  types.revision = found->second.revision;
  for (const auto& [form, schema] : found->second.schemas) types.schemas.push_back(schema);
  for (const auto& [type, rules] : found->second.rules) types.rules.push_back(rules);
  return types;
}

bool MemoryGovernance::add(const EventSchema& schema) {
  const Lock lock(mutex_);
  Tenant& tenant = tenants_[schema.tenant];
  const auto [at, is_new] = tenant.schemas.try_emplace(schema.form, schema);
  if (!is_new) return false;
  at->second.recorded_at = Timestamp::now();
  touch(tenant, schema.tenant, schema.form.type);
  return true;
}

bool MemoryGovernance::remove_schema(const std::string& tenant, const EventForm& form, bool in_use) {
  const Lock lock(mutex_);
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end() || !found->second.schemas.contains(form)) return false;
  if (in_use) {
    throw Error(ErrorCode::invalid_argument, "there are events of type '" + form.type + "', version " +
                                                 std::to_string(form.event_version) + ": its schema stays");
  }
  found->second.schemas.erase(form);
  touch(found->second, tenant, form.type);
  return true;
}

void MemoryGovernance::set(const EventTypeRules& rules) {
  const Lock lock(mutex_);
  Tenant& tenant = tenants_[rules.tenant];
  touch(tenant, rules.tenant, rules.event_type);
  tenant.rules[rules.event_type] = rules;
}

// --- Subject keys

SubjectKey* MemoryGovernance::key_of(const std::string& tenant, const Uuid& key_id) {
  const auto found = keys_.find(key_id);
  return found == keys_.end() || found->second.tenant != tenant ? nullptr : &found->second;
}

bool MemoryGovernance::add(const SubjectKey& key) {
  const Lock lock(mutex_);
  const auto same_subject = [&](const auto& other) {
    return other.second.tenant == key.tenant && other.second.subject == key.subject;
  };
  if (std::any_of(keys_.begin(), keys_.end(), same_subject)) return false;
  const auto [at, is_new] = keys_.try_emplace(key.key_id, key);
  if (!is_new) return false;
  at->second.created_at = Timestamp::now();
  at->second.destroyed_at.reset();
  return true;
}

std::optional<SubjectKey> MemoryGovernance::find_key(const std::string& tenant, const std::string& subject) const {
  const Lock lock(mutex_);
  for (const auto& [key_id, key] : keys_) {
    if (key.tenant == tenant && key.subject == subject && !subject.empty()) return key;
  }
  return std::nullopt;
}

std::vector<SubjectKey> MemoryGovernance::find_keys(const std::string& tenant, std::span<const Uuid> key_ids) const {
  const Lock lock(mutex_);
  std::vector<SubjectKey> found;
  for (const Uuid& key_id : key_ids) {
    const auto at = keys_.find(key_id);
    if (at != keys_.end() && at->second.tenant == tenant) found.push_back(at->second);
  }
  return found;
}

std::vector<SubjectKey> MemoryGovernance::list_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                    std::size_t limit) const {
  const Lock lock(mutex_);
  std::vector<SubjectKey> page;
  for (auto at = after ? keys_.upper_bound(*after) : keys_.begin(); at != keys_.end() && page.size() < limit; ++at) {
    if (at->second.tenant == tenant) page.push_back(at->second);
  }
  return page;
}

std::vector<std::string> MemoryGovernance::list_key_tenants() const {
  const Lock lock(mutex_);
  std::set<std::string> tenants;
  for (const auto& [id, key] : keys_) tenants.insert(key.tenant);
  return {tenants.begin(), tenants.end()};
}

bool MemoryGovernance::rewrap(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                              const WrappedKey& to) {
  const Lock lock(mutex_);
  SubjectKey* key = key_of(tenant, key_id);
  if (key == nullptr || key->wrapped != from) return false;
  key->wrapped = to;
  return true;
}

bool MemoryGovernance::destroy(const std::string& tenant, const Uuid& key_id) {
  const Lock lock(mutex_);
  SubjectKey* key = key_of(tenant, key_id);
  if (key == nullptr || !key->wrapped) return false;
  std::fill(key->wrapped->bytes.begin(), key->wrapped->bytes.end(), '\0');
  key->wrapped.reset();
  key->destroyed_at = Timestamp::now();
  return true;
}

bool MemoryGovernance::forget(const std::string& tenant, const Uuid& key_id) {
  const Lock lock(mutex_);
  SubjectKey* key = key_of(tenant, key_id);
  if (key == nullptr || !key->destroyed_at || key->subject.empty()) return false;
  key->subject.clear();
  return true;
}

// --- Seals

bool MemoryGovernance::add(const LogSeal& seal, std::span<const EventHash> hashes) {
  const Lock lock(mutex_);
  if (seal.number != static_cast<std::int64_t>(seals_.size()) + 1) return false;
  seals_.push_back(seal);
  for (const EventHash& hash : hashes) hashes_.emplace(hash.position, hash);
  return true;
}

std::optional<LogSeal> MemoryGovernance::last_seal() const {
  const Lock lock(mutex_);
  if (seals_.empty()) return std::nullopt;
  return seals_.back();
}

std::vector<LogSeal> MemoryGovernance::list_seals(std::int64_t after, std::size_t limit) const {
  const Lock lock(mutex_);
  std::vector<LogSeal> page;
  for (const LogSeal& seal : seals_) {
    if (page.size() == limit) break;
    if (seal.number > after) page.push_back(seal);
  }
  return page;
}

std::vector<EventHash> MemoryGovernance::read_hashes(Position after, Position to, std::size_t limit) const {
  const Lock lock(mutex_);
  std::vector<EventHash> page;
  for (auto at = hashes_.upper_bound(after); at != hashes_.end() && at->first <= to && page.size() < limit; ++at) {
    page.push_back(at->second);
  }
  return page;
}

std::optional<EventHash> MemoryGovernance::find_hash(Position position) const {
  const Lock lock(mutex_);
  const auto found = hashes_.find(position);
  if (found == hashes_.end()) return std::nullopt;
  return found->second;
}

}  // namespace stele::detail
