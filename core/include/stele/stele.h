// Everything an application needs, except the backends' own headers.
#pragma once

#include "stele/append.h"
#include "stele/error.h"
#include "stele/event.h"
#include "stele/event_json.h"
#include "stele/event_store.h"
#include "stele/json.h"
#include "stele/limits.h"
#include "stele/migrate.h"
#include "stele/read.h"
#include "stele/registry.h"
#include "stele/timestamp.h"
#include "stele/types.h"
#include "stele/url.h"
#include "stele/uuid.h"
#include "stele/verify.h"
