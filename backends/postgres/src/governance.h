// Event types, data subjects' keys, and the log's seals.
#pragma once

#include "session.h"
#include "stele/driver/governance.h"

namespace stele::postgres {

/// As driver::Governance describes them, each in one statement.
std::int64_t event_types_revision(Session& session, const std::string& tenant);
driver::EventTypes list_event_types(Session& session, const std::string& tenant);
bool add_schema(Session& session, const EventSchema& schema);
bool remove_schema(Session& session, const std::string& tenant, const EventForm& form);
void set_type_rules(Session& session, const EventTypeRules& rules);

bool add_subject_key(Session& session, const SubjectKey& key);
std::optional<SubjectKey> find_subject_key(Session& session, const std::string& tenant, const std::string& subject);
std::vector<SubjectKey> find_subject_keys(Session& session, const std::string& tenant, std::span<const Uuid> key_ids);
std::vector<SubjectKey> list_subject_keys(Session& session, const std::string& tenant, const std::optional<Uuid>& after,
                                          std::size_t limit);
std::vector<std::string> list_key_tenants(Session& session);
bool rewrap_subject_key(Session& session, const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                        const WrappedKey& to);
bool destroy_subject_key(Session& session, const std::string& tenant, const Uuid& key_id);
bool forget_subject(Session& session, const std::string& tenant, const Uuid& key_id);

bool add_seal(Session& session, const LogSeal& seal, std::span<const driver::EventHash> hashes);
std::optional<LogSeal> last_seal(Session& session);
std::vector<LogSeal> list_seals(Session& session, std::int64_t after, std::size_t limit);
std::vector<driver::EventHash> read_hashes(Session& session, Position after, Position to, std::size_t limit);
std::vector<std::optional<driver::EventHash>> find_hashes(Session& session, std::span<const driver::EventPlace> places);

}  // namespace stele::postgres
