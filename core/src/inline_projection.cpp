#include "inline_projection.h"

#include <algorithm>
#include <utility>

#include "log_filter.h"
#include "projection_work.h"
#include "today.h"

namespace stele::detail {
namespace {

using driver::ProjectionKind;

/// What run_projection() has filled becomes an inline one, if nothing is missing in it.
void take_over_filled(const ProjectionWork& work) {
  driver::Driver& driver = work.store.driver();
  const std::optional<driver::ProjectionState> found = driver.find_projection(work.key);
  if (!found || found->kind != ProjectionKind::projection) return;
  driver::expect_same_use(*found, 1, ProjectionKind::projection);
  const driver::PartKey part = work.part(found->active_generation, 0);
  const Position log_end = work.store.log_end();
  LeaseKeeper keeper(work.store, work.holder, work.options.lease);
  const std::optional<driver::Lease> lease = keeper.acquire(part);
  if (!lease) throw_busy(work.key, "is running");
  std::optional<Error> error;
  try {
    if (lease->position < log_end) {
      throw Error(ErrorCode::invalid_argument, "projection '" + work.key.name + "' is at position " +
                                                   std::to_string(lease->position.value()) + ", and the log ends at " +
                                                   std::to_string(log_end.value()) +
                                                   ": run it first, and append nothing until it is used inline");
    }
    driver.change_kind(work.key, ProjectionKind::projection, ProjectionKind::inline_projection);
  } catch (const Error& caught) {
    error = caught;
  }
  keeper.release(part);
  if (error) throw Error(*error);
}

}  // namespace

void InlineProjections::add(EventStore& store, std::shared_ptr<Projection> projection) {
  if (projection == nullptr) throw Error(ErrorCode::invalid_argument, "projection: there is none");
  const ProjectionWork work(store, *projection, {});
  const auto has_its_name = [&](const One& one) { return one.projection->name() == work.key.name; };
  if (std::any_of(all_.begin(), all_.end(), has_its_name)) {
    throw Error(ErrorCode::invalid_argument, "projection '" + work.key.name + "' is in use already");
  }
  driver::PreparedAppend nothing;
  const std::string tenant = store.tenant().value_or(std::string(default_tenant));
  nothing.tenant = tenant;
  store.driver().append_with_hook(nothing, {});  // Throws unsupported where it is not offered.
  take_over_filled(work);
  const driver::ProjectionState state =
      store.driver().open_projection(work.key, 1, Position(0), ProjectionKind::inline_projection);
  const std::int32_t generation = state.active_generation;
  const bool done = in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
    if (!transaction.activate(work.key, generation, generation)) return false;
    ProjectionContext context = work.context(transaction, generation);
    projection->create(context);
    projection->activate(context);
    return true;
  });
  if (!done) throw_busy(work.key, "was rebuilt or removed at the same time");
  all_.push_back({std::move(projection), work.key, work.filter, generation});
}

std::vector<driver::AppendAnswer> InlineProjections::append(driver::Driver& driver,
                                                            const std::shared_ptr<const Upcasters>& upcasters,
                                                            std::span<const driver::PreparedAppend> appends) const {
  std::vector<driver::AppendAnswer> answers;
  answers.reserve(appends.size());
  for (const driver::PreparedAppend& append : appends) {
    try {
      answers.push_back(driver.append_with_hook(
          append, [&](auto& transaction, auto events) { apply(transaction, upcasters, events); }));
    } catch (const Error& error) {
      answers.push_back({{}, error});  // Of this one alone: others may have been applied, or have to be looked up.
    }
  }
  return answers;
}

void InlineProjections::apply(driver::ReadModelTransaction& transaction,
                              const std::shared_ptr<const Upcasters>& upcasters,
                              std::span<const RecordedEvent> events) const {
  for (const One& one : all_) {
    const Today today(upcasters, one.filter.event_types);
    const LogFilter stored = today.stored_filter(one.filter);
    ProjectionContext context(transaction, one.generation, one.key.tenant);
    bool first = true;
    for (const RecordedEvent& event : events) {
      if (!matches(stored, event)) continue;
      // Somebody may have reset it. What is there under its name now is not what this store was to write.
      if (std::exchange(first, false) && !transaction.is_inline(one.key, one.generation)) {
        throw Error(ErrorCode::invalid_argument,
                    "projection '" + one.key.name + "' is not inline any more, or was made anew: open the store again");
      }
      if (today.unchanged(event)) {
        one.projection->apply(event, context);
        continue;
      }
      for (const RecordedEvent& made : today.apply(event)) one.projection->apply(made, context);
    }
  }
}

}  // namespace stele::detail
