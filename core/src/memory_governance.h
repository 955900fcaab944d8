// Event types, data subjects' keys and seals of the reference driver.
#pragma once

#include <map>
#include <mutex>

#include "stele/driver/governance.h"

namespace stele::detail {

/// Has a mutex of its own, which is taken after the driver's.
class MemoryGovernance {
 public:
  std::int64_t revision(const std::string& tenant) const;
  driver::EventTypes event_types(const std::string& tenant) const;
  bool add(const EventSchema& schema);
  /// `in_use`: there are events of this form.
  bool remove_schema(const std::string& tenant, const EventForm& form, bool in_use);
  void set(const EventTypeRules& rules);

  bool add(const SubjectKey& key);
  std::optional<SubjectKey> find_key(const std::string& tenant, const std::string& subject) const;
  std::vector<SubjectKey> find_keys(const std::string& tenant, std::span<const Uuid> key_ids) const;
  std::vector<SubjectKey> list_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                    std::size_t limit) const;
  std::vector<std::string> list_key_tenants() const;
  bool rewrap(const std::string& tenant, const Uuid& key_id, const WrappedKey& from, const WrappedKey& to);
  bool destroy(const std::string& tenant, const Uuid& key_id);
  bool forget(const std::string& tenant, const Uuid& key_id);

  bool add(const LogSeal& seal, std::span<const driver::EventHash> hashes);
  std::optional<LogSeal> last_seal() const;
  std::vector<LogSeal> list_seals(std::int64_t after, std::size_t limit) const;
  std::vector<driver::EventHash> read_hashes(Position after, Position to, std::size_t limit) const;
  std::optional<driver::EventHash> find_hash(Position position) const;

 private:
  struct Tenant {
    std::int64_t revision = 0;
    std::map<EventForm, EventSchema> schemas;
    std::map<std::string, EventTypeRules> rules;
  };
  using Lock = std::lock_guard<std::mutex>;

  SubjectKey* key_of(const std::string& tenant, const Uuid& key_id);
  /// The type's rules; with the defaults if it has none.
  static void touch(Tenant& tenant, const std::string& name, const std::string& type);

  mutable std::mutex mutex_;
  std::map<std::string, Tenant> tenants_;
  std::map<Uuid, SubjectKey> keys_;
  std::vector<LogSeal> seals_;  // Number 1 first.
  std::map<Position, driver::EventHash> hashes_;
};

}  // namespace stele::detail
