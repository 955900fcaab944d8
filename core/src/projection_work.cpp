#include "projection_work.h"

#include <array>
#include <utility>

#include "delivery.h"
#include "prepare.h"
#include "stele/limits.h"
#include "stele/uuid.h"
#include "utf8.h"

namespace stele::detail {
namespace {

constexpr std::int32_t most_parts = 64;
constexpr std::size_t largest_batch = 10'000;
constexpr std::size_t member_bytes = 96;
constexpr std::chrono::milliseconds shortest_lease{1'000};

void require(bool good, const char* message) {
  if (!good) throw Error(ErrorCode::invalid_argument, message);
}

ProjectionOptions checked(ProjectionOptions options) {
  require(options.tenant.size() <= limits::tenant_id_bytes, "tenant: at most 64 bytes");
  require(options.parts >= 1 && options.parts <= most_parts, "parts: must be between 1 and 64");
  require(options.member.size() <= member_bytes, "member: at most 96 bytes");
  require(is_valid_utf8(options.member) && options.member.find('\0') == std::string::npos,
          "member: must be valid UTF-8 without NUL");
  require(options.lease >= shortest_lease, "lease: at least a second");
  require(options.lease <= driver::longest_lease, "lease: at most an hour");
  require(options.batch >= 1 && options.batch <= largest_batch, "batch: must be between 1 and 10000");
  check_time("poll_interval", options.poll_interval);
  check_error_policy(options.on_error);
  return options;
}

/// In a store of one tenant alone, everything is of that one.
ProjectionOptions of_store(const EventStore& store, ProjectionOptions options) {
  if (options.tenant.empty()) options.tenant = store.tenant().value_or(std::string());
  return options;
}

LogFilter filter_of(const Projection& projection, const std::string& tenant) {
  LogReadOptions read;
  read.filter = projection.filter();
  if (!tenant.empty()) {
    require(!read.filter.tenant || read.filter.tenant == tenant, "tenant: the projection's filter names another one");
    read.filter.tenant = tenant;
  }
  check_read(read);
  return read.filter;
}

std::string holder_of(const std::string& member) {
  const std::string unique = new_holder();
  return member.empty() ? unique : member + unique.substr(unique.rfind(':'));
}

}  // namespace

ProjectionWork::ProjectionWork(EventStore& store_, Projection& projection_, ProjectionOptions options_)
    : store(store_),
      projection(projection_),
      options(checked(of_store(store_, std::move(options_)))),
      key{projection.name(), options.tenant},
      filter(filter_of(projection, options.tenant)),
      holder(holder_of(options.member)) {
  check_projection_name(key.name);
}

FollowerOptions ProjectionWork::follower_options(std::function<bool(const RecordedEvent&)> wanted) const {
  FollowerOptions made;
  made.filter = filter;
  made.wanted = std::move(wanted);
  made.page_events = options.batch;
  made.poll_interval = options.poll_interval;
  made.on_error = options.on_error;
  made.caught_up = options.caught_up;
  made.trouble = options.trouble;
  return made;
}

void throw_busy(const driver::ProjectionKey& key, const char* what) {
  Error::Details details;
  details.retryable = true;
  throw Error(ErrorCode::busy, "projection '" + key.name + "' " + what, details);
}

std::optional<Error> behind_error(driver::ReadModelTransaction& transaction,
                                  const driver::ProjectionKey& key) noexcept {
  try {
    if (std::optional<Error> error = transaction.database_error(std::current_exception())) {
      if (may_pass(*error)) return error;
    }
    transaction.activate(key, 0, 1);  // 0 is never active: this asks, and changes nothing.
  } catch (const Error& error) {
    if (may_pass(error)) return error;
  } catch (...) {
  }
  return std::nullopt;
}

bool in_read_model(const ProjectionWork& work, const std::function<bool(driver::ReadModelTransaction&)>& write) {
  const std::unique_ptr<driver::ReadModelTransaction> transaction = work.begin();
  bool good = false;
  try {
    good = write(*transaction);
  } catch (...) {
    if (const std::optional<Error> cause = behind_error(*transaction, work.key)) throw Error(*cause);
    throw;
  }
  if (good) transaction->commit();
  return good;
}

bool move_all(driver::ReadModelTransaction& transaction, const std::vector<driver::Lease>& leases, Position to) {
  for (const driver::Lease& lease : leases) {
    if (!transaction.move_checkpoint(lease, to)) return false;
  }
  return true;
}

}  // namespace stele::detail

namespace stele {

Projection::~Projection() = default;
void Projection::create(ProjectionContext&) {}
void Projection::activate(ProjectionContext&) {}
void Projection::drop(ProjectionContext&) {}

std::int32_t projection_part(const StreamKey& stream, std::int32_t parts) {
  if (parts < 1) throw Error(ErrorCode::invalid_argument, "parts: must be at least 1");
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  };
  add(stream.tenant);
  add("\x1F");
  add(stream.type);
  add("\x1F");
  add(stream.id);
  return static_cast<std::int32_t>(hash % static_cast<std::uint64_t>(parts));
}

}  // namespace stele
