#include "inline_projection.h"

#include <algorithm>
#include <utility>

#include "log_filter.h"
#include "projection_work.h"
#include "today.h"

namespace stele::detail {

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
  const driver::ProjectionState state = store.driver().open_projection(work.key, 1);
  const std::int32_t generation = state.active_generation;
  const bool done = in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
    if (!transaction.activate(work.key, generation, generation)) return false;
    ProjectionContext context = work.context(transaction, generation);
    projection->create(context);
    projection->activate(context);
    return true;
  });
  if (!done) throw_busy(work.key, "was rebuilt or removed at the same time");
  all_.push_back({std::move(projection), work.filter, generation, work.key.tenant});
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
    ProjectionContext context(transaction, one.generation, one.tenant);
    for (const RecordedEvent& event : events) {
      if (!matches(stored, event)) continue;
      if (today.unchanged(event)) {
        one.projection->apply(event, context);
        continue;
      }
      for (const RecordedEvent& made : today.apply(event)) one.projection->apply(made, context);
    }
  }
}

}  // namespace stele::detail
