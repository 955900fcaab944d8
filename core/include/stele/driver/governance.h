// What a backend keeps of event types, data subjects and the log's seals. For authors of backends; applications use
// governance.h and event_store.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stele/chain.h"
#include "stele/governance.h"
#include "stele/read.h"

namespace stele::driver {

/// What a tenant's writers and readers have to know of its event types.
struct EventTypes {
  std::int64_t revision = 0;          ///< Grows with every change of the tenant's schemas and rules; 0: never one.
  std::vector<EventSchema> schemas;   ///< By type as bytes, then version.
  std::vector<EventTypeRules> rules;  ///< By type as bytes.
};

/// The hashes of one event; see chain.h.
struct EventHash {
  Position position;
  ChainHash content{};
  ChainHash link{};
  friend bool operator==(const EventHash&, const EventHash&) = default;
};

/// Where an event is.
struct EventPlace {
  StreamKey stream;
  Version version;
};

/// The part of a driver that governance needs. Driver derives from it. Each function may throw what Driver's may; those
/// that change something do it in one transaction, durably. The defaults throw unsupported, but the two that every
/// append and read ask: there a store without governance has nothing to say.
class STELE_API Governance {
 public:
  virtual ~Governance();

  // --- Event types. Texts are valid: core has compiled and checked them.

  /// The tenant's revision alone, from one row: asked often.
  virtual std::int64_t event_types_revision(const std::string& tenant);
  virtual EventTypes list_event_types(const std::string& tenant);
  /// Adds a schema, and moves the revision. False, having done nothing, when the form has one already.
  virtual bool add_schema(const EventSchema& schema);
  /// Removes the schema of a form that no event of the tenant has, and moves the revision. False when there is none.
  /// Throws invalid_argument when there is such an event. (One that is being appended meanwhile may come to be without
  /// its schema.)
  virtual bool remove_schema(const std::string& tenant, const EventForm& form);
  /// In place of the type's rules, if there are any; moves the revision.
  virtual void set_type_rules(const EventTypeRules& rules);

  // --- Data subjects' keys. key_id is unique in the store, (tenant, subject) while there is a subject.

  /// False, having done nothing, when the subject has a key, or one with this id exists. wrapped is given.
  virtual bool add_subject_key(const SubjectKey& key);
  virtual std::optional<SubjectKey> find_subject_key(const std::string& tenant, const std::string& subject);
  /// Those of these ids that there are and that are the tenant's, in any order. At most 1,000 ids.
  virtual std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids);
  /// By key_id (as text), behind `after`, at most `limit`; the destroyed ones as well.
  virtual std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                    std::size_t limit);
  /// The tenants that have keys, each once, in any order.
  virtual std::vector<std::string> list_key_tenants();
  /// Replaces the wrapped key if it still is `from`; false otherwise.
  virtual bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                                  const WrappedKey& to);
  /// Overwrites the wrapped key with nothing, and says when; the subject stays. False when there is no such key, or it
  /// was destroyed before.
  virtual bool destroy_subject_key(const std::string& tenant, const Uuid& key_id);
  /// Forgets whose a destroyed key was. False when there is nothing to forget.
  virtual bool forget_subject(const std::string& tenant, const Uuid& key_id);

  // --- The log's seals, of the whole store. Neither they nor the hashes are ever changed or removed (as G8).

  /// Adds a seal with the hashes of its events, in the order of positions. False, having done nothing, when there is
  /// one of this number already, or not the one before it.
  virtual bool add_seal(const LogSeal& seal, std::span<const EventHash> hashes);
  virtual std::optional<LogSeal> last_seal();
  /// By number, behind `after`, at most `limit`.
  virtual std::vector<LogSeal> list_seals(std::int64_t after, std::size_t limit);
  /// In (after, to], by position, at most `limit`.
  virtual std::vector<EventHash> read_hashes(Position after, Position to, std::size_t limit);
  /// The hash of each of these events, in the order of the places; nullopt when the event or its hash is not there. At
  /// most 1,000 places; one may be there twice.
  virtual std::vector<std::optional<EventHash>> find_hashes(std::span<const EventPlace> places);
};

}  // namespace stele::driver
