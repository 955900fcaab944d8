#include "stele/driver/driver.h"

#include <algorithm>
#include <set>
#include <thread>

#include "sha256.h"
#include "utf8.h"

namespace stele::driver {

namespace {

class Sleeper final : public AppendListener {
 public:
  bool wait(std::chrono::milliseconds timeout) noexcept override {
    std::this_thread::sleep_for(timeout);
    return false;
  }
};

[[noreturn]] void unsupported(const char* what) {
  throw Error(ErrorCode::unsupported, std::string("this backend has no ") + what);
}

}  // namespace

Driver::~Driver() = default;
ReadSide::~ReadSide() = default;
Governance::~Governance() = default;
ReadModelTransaction::~ReadModelTransaction() = default;
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

void Driver::isolate_tenants(bool /*on*/) {
  Error::Details details;
  details.backend = std::string(name());
  throw Error(ErrorCode::unsupported, "this backend has no row-level security", std::move(details));
}

AppendAnswer Driver::append_with_hook(const PreparedAppend& /*append*/, const AppendHook& /*hook*/) {
  unsupported("inline projections");
}

std::string_view to_string(ProjectionKind kind) noexcept {
  switch (kind) {
    case ProjectionKind::projection: return "projection";
    case ProjectionKind::subscription: return "subscription";
    case ProjectionKind::relay: return "relay";
    case ProjectionKind::inline_projection: return "inline";
  }
  return "?";
}

std::optional<ProjectionKind> parse_projection_kind(std::string_view name) noexcept {
  for (const ProjectionKind kind : {ProjectionKind::projection, ProjectionKind::subscription, ProjectionKind::relay,
                                    ProjectionKind::inline_projection}) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

void expect_same_use(const ProjectionState& state, std::int32_t parts, ProjectionKind kind) {
  const auto described = [](ProjectionKind of) {
    return of == ProjectionKind::inline_projection ? std::string("an inline projection")
                                                   : "a " + std::string(to_string(of));
  };
  if (state.kind.value_or(kind) != kind) {
    throw Error(ErrorCode::invalid_argument, "name: '" + state.key.name + "' is " + described(*state.kind) +
                                                 " in this store, and cannot be " + described(kind) + ", too");
  }
  if (state.parts != parts) {
    throw Error(ErrorCode::invalid_argument,
                "projection '" + state.key.name + "' has " + std::to_string(state.parts) + " parts");
  }
}

std::optional<Error> ReadModelTransaction::database_error(const std::exception_ptr& /*thrown*/) {
  return std::nullopt;
}

void ReadModelTransaction::on_commit(std::function<void()> /*change*/) {
  unsupported("read models outside of its database");
}

Position ReadSide::settled_position() {
  unsupported("end of the log to ask for");
}

bool ReadSide::save_snapshot(const Snapshot& /*snapshot*/) {
  unsupported("snapshots");
}
std::optional<Snapshot> ReadSide::find_snapshot(const StreamKey& /*stream*/, Version /*at_or_below*/,
                                                std::optional<std::int32_t> /*schema_version*/) {
  unsupported("snapshots");
}
std::vector<SnapshotInfo> ReadSide::list_snapshots(const SnapshotListOptions& /*options*/) {
  unsupported("snapshots");
}
std::int64_t ReadSide::delete_snapshots(const SnapshotDeletion& /*which*/) {
  unsupported("snapshots");
}

ProjectionState ReadSide::open_projection(const ProjectionKey& /*key*/, std::int32_t /*parts*/, Position /*start*/,
                                          ProjectionKind /*kind*/) {
  unsupported("projections");
}
bool ReadSide::change_kind(const ProjectionKey& /*key*/, ProjectionKind /*from*/, ProjectionKind /*to*/) {
  unsupported("projections");
}
std::optional<ProjectionState> ReadSide::find_projection(const ProjectionKey& /*key*/) {
  unsupported("projections");
}
std::vector<ProjectionState> ReadSide::list_projections() {
  unsupported("projections");
}
std::int32_t ReadSide::add_generation(const ProjectionKey& /*key*/) {
  unsupported("projections");
}
void ReadSide::remove_generation(const ProjectionKey& /*key*/, std::int32_t /*generation*/) {
  unsupported("projections");
}
void ReadSide::remove_projection(const ProjectionKey& /*key*/) {
  unsupported("projections");
}
std::optional<Lease> ReadSide::acquire_lease(const PartKey& /*key*/, const std::string& /*holder*/,
                                             std::chrono::milliseconds /*time*/) {
  unsupported("projections");
}
bool ReadSide::renew_lease(const Lease& /*lease*/, std::chrono::milliseconds /*time*/) {
  unsupported("projections");
}
void ReadSide::release_lease(const Lease& /*lease*/) {
  unsupported("projections");
}
std::int32_t ReadSide::announce_member(const ProjectionKey& /*key*/, const std::string& /*member*/,
                                       std::chrono::milliseconds /*time*/) {
  unsupported("projections");
}
std::vector<DeadLetter> ReadSide::list_dead_letters(const ProjectionKey& /*key*/, std::size_t /*limit*/) {
  unsupported("projections");
}
bool ReadSide::remove_dead_letter(const PartKey& /*key*/, Position /*position*/) {
  unsupported("projections");
}
std::unique_ptr<ReadModelTransaction> ReadSide::begin_read_model(std::chrono::milliseconds /*idle_limit*/) {
  unsupported("projections");
}

std::int64_t Governance::event_types_revision(const std::string& /*tenant*/) {
  return 0;
}
EventTypes Governance::list_event_types(const std::string& /*tenant*/) {
  return {};
}
bool Governance::add_schema(const EventSchema& /*schema*/) {
  unsupported("schemas");
}
bool Governance::remove_schema(const std::string& /*tenant*/, const EventForm& /*form*/) {
  unsupported("schemas");
}
void Governance::set_type_rules(const EventTypeRules& /*rules*/) {
  unsupported("rules of event types");
}

bool Governance::add_subject_key(const SubjectKey& /*key*/) {
  unsupported("keys");
}
std::optional<SubjectKey> Governance::find_subject_key(const std::string& /*tenant*/, const std::string& /*subject*/) {
  unsupported("keys");
}
std::vector<SubjectKey> Governance::find_subject_keys(const std::string& /*tenant*/,
                                                      std::span<const Uuid> /*key_ids*/) {
  unsupported("keys");
}
std::vector<SubjectKey> Governance::list_subject_keys(const std::string& /*tenant*/,
                                                      const std::optional<Uuid>& /*after*/, std::size_t /*limit*/) {
  unsupported("keys");
}
std::vector<std::string> Governance::list_key_tenants() {
  unsupported("keys");
}
bool Governance::rewrap_subject_key(const std::string& /*tenant*/, const Uuid& /*key_id*/, const WrappedKey& /*from*/,
                                    const WrappedKey& /*to*/) {
  unsupported("keys");
}
bool Governance::destroy_subject_key(const std::string& /*tenant*/, const Uuid& /*key_id*/) {
  unsupported("keys");
}
bool Governance::forget_subject(const std::string& /*tenant*/, const Uuid& /*key_id*/) {
  unsupported("keys");
}

bool Governance::add_seal(const LogSeal& /*seal*/, std::span<const EventHash> /*hashes*/) {
  unsupported("seals");
}
std::optional<LogSeal> Governance::last_seal() {
  unsupported("seals");
}
std::vector<LogSeal> Governance::list_seals(std::int64_t /*after*/, std::size_t /*limit*/) {
  unsupported("seals");
}
std::vector<EventHash> Governance::read_hashes(Position /*after*/, Position /*to*/, std::size_t /*limit*/) {
  unsupported("seals");
}
std::vector<std::optional<EventHash>> Governance::find_hashes(std::span<const EventPlace> /*places*/) {
  unsupported("seals");
}

std::string storable_error(std::string_view text) {
  constexpr std::size_t max_bytes = 4'000;
  std::string kept(text.substr(0, max_bytes));
  std::replace(kept.begin(), kept.end(), '\0', ' ');
  // What was cut in the middle of a character goes; what was never UTF-8 is marked.
  for (std::size_t bad = 0; (bad = detail::find_invalid_utf8(kept)) != std::string_view::npos;) {
    if (text.size() > max_bytes && bad + 4 > max_bytes) {
      kept.resize(bad);
    } else {
      kept[bad] = '?';
    }
  }
  return kept;
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
