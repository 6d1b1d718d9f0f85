import assert from "node:assert/strict";
import type { Check } from "./check.js";

/** Settings of the hub. */
export function checkSettings(check: Check): void {
  check("a setting is what it was last set to, and absent before", async (hub) => {
    const { store } = hub;
    assert.equal(await store.setting("retention"), undefined);
    await store.changeSetting("retention", '{"a":1}');
    await store.changeSetting("other", "null");
    assert.equal(await store.setting("retention"), '{"a":1}');
    await store.changeSetting("retention", "\"🦀 'quoted'\"");
    assert.equal(await store.setting("retention"), "\"🦀 'quoted'\"");
    assert.equal(await store.setting("other"), "null");
    for (const key of ["Retention", "", "__proto__", "constructor"]) {
      assert.equal(await store.setting(key), undefined);
    }
    await store.changeSetting("__proto__", "1");
    assert.equal(await store.setting("__proto__"), "1");
  });

  check("settings and the secret are there when the store is opened again", async (hub) => {
    const { secret } = hub.store;
    assert.ok(secret.length >= 32);
    await hub.store.changeSetting("retention", "1");
    await hub.reopen();
    assert.equal(await hub.store.setting("retention"), "1");
    assert.equal(hub.store.secret, secret);
  });
}
