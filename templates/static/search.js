// The search page: sends what was found by SAMP, one product, those that are ticked, or the table of all.

import { offerSamp } from "./samp-send.js";

offerSamp(document);
