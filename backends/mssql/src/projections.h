// Projections: their checkpoints, leases, members and dead letters.
#pragma once

#include "session.h"
#include "stele/driver/read_side.h"

namespace stele::mssql {

/// As driver::ReadSide describes them, outside of transactions. All of them may be repeated when an answer was lost: a
/// generation that was added twice is one to remove.
driver::ProjectionState open_projection(Session& session, const driver::ProjectionKey& key, std::int32_t parts,
                                        Position start, driver::ProjectionKind kind);
bool change_kind(Session& session, const driver::ProjectionKey& key, driver::ProjectionKind from,
                 driver::ProjectionKind to);
std::optional<driver::ProjectionState> find_projection(Session& session, const driver::ProjectionKey& key);
std::vector<driver::ProjectionState> list_projections(Session& session);
std::int32_t add_generation(Session& session, const driver::ProjectionKey& key);
void remove_generation(Session& session, const driver::ProjectionKey& key, std::int32_t generation);
void remove_projection(Session& session, const driver::ProjectionKey& key);
std::optional<driver::Lease> acquire_lease(Session& session, const driver::PartKey& key, const std::string& holder,
                                           std::chrono::milliseconds time);
bool renew_lease(Session& session, const driver::Lease& lease, std::chrono::milliseconds time);
void release_lease(Session& session, const driver::Lease& lease);
std::int32_t announce_member(Session& session, const driver::ProjectionKey& key, const std::string& member,
                             std::chrono::milliseconds time);
std::vector<driver::DeadLetter> list_dead_letters(Session& session, const driver::ProjectionKey& key,
                                                  std::size_t limit);
bool remove_dead_letter(Session& session, const driver::PartKey& key, Position position);

/// As driver::ReadModelTransaction describes them, inside of one.
bool move_checkpoint(Session& session, const driver::Lease& lease, Position to);
void add_dead_letter(Session& session, const driver::DeadLetter& letter);
bool activate(Session& session, const driver::ProjectionKey& key, std::int32_t from, std::int32_t generation);
bool is_inline(Session& session, const driver::ProjectionKey& key, std::int32_t generation);

}  // namespace stele::mssql
